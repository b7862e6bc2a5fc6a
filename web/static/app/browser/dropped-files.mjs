// Files that are dropped where nothing takes them. The browser would open such a file, mostly in place of the page.
const hasFiles = ({ dataTransfer }) => [...(dataTransfer?.items || [])].some(({ kind }) => kind === "file");

export function ignoreDroppedFiles() {
  addEventListener("dragover", (event) => {
    if (event.defaultPrevented || !hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
