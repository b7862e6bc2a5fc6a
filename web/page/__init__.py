"""The web page: its files, bundled for browsers, and the documents of docs/."""
