// Spanish of what the server writes, by the order of its code. A hole has the name of the value in it.
export const TEXTS = {
  "Invalid or expired token": "El token no es válido o ha caducado",
  "the disk is full, so nothing can be written; make room on the platform's or database's disk":
    "el disco está lleno, así que no se puede escribir nada; hay que liberar espacio en el disco de la plataforma " +
    "o de la base de datos",
  ["the database's answer to COMMIT was lost, so the change may have been made; send the request again with its " +
  "Idempotency-Key, or look before repeating it"]:
    "se perdió la respuesta de la base de datos al COMMIT, así que el cambio puede haberse hecho; enviar de nuevo " +
    "la petición con su Idempotency-Key, o mirar antes de repetirla",
  ["stored secrets were sealed with another AIWORKER_SECRET_KEY; the operator has to set that one: aiworker " +
  "doctor says how"]:
    "los secretos guardados se sellaron con otra AIWORKER_SECRET_KEY; quien opera la plataforma tiene que poner " +
    "esa: aiworker doctor dice cómo",
  "{thing} {label} is {state}; it can't become {new} now":
    "{thing} {label} está en estado «{state}»; ahora no puede pasar a «{new}»",
  "commands are not confined: {why_not}; {remedy}": "los comandos no están confinados: {why_not}; {remedy}",
  "commands are confined; with an open network they share this machine's: {why_no_outbound}":
    "los comandos están confinados; con la red abierta comparten la de esta máquina: {why_no_outbound}",
  "commands are confined": "los comandos están confinados",
  "commands are not confined: AIWORKER_SANDBOX=off": "los comandos no están confinados: AIWORKER_SANDBOX=off",
  "bubblewrap (bwrap) is not installed": "bubblewrap (bwrap) no está instalado",
  "{bwrap} gave no answer within {probe_seconds} s": "{bwrap} no respondió en {probe_seconds} s",
  "{bwrap} can't be started: {strerror}": "no se puede iniciar {bwrap}: {strerror}",
  "exit status {returncode}": "estado de salida {returncode}",
  "{bwrap} can't make a sandbox here ({why})": "{bwrap} no puede crear aquí un sandbox ({why})",
  ["AppArmor forbids user namespaces: give bwrap an AppArmor profile with the rule `userns`, or set sysctl " +
  "kernel.apparmor_restrict_unprivileged_userns=0"]:
    "AppArmor prohíbe los espacios de nombres de usuario: dar a bwrap un perfil de AppArmor con la regla `userns`, " +
    "o poner sysctl kernel.apparmor_restrict_unprivileged_userns=0",
  "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1":
    "permitir los espacios de nombres de usuario: sysctl kernel.unprivileged_userns_clone=1",
  "allow user namespaces: sysctl user.max_user_namespaces=10000":
    "permitir los espacios de nombres de usuario: sysctl user.max_user_namespaces=10000",
  ["in a container, allow user namespaces (Docker: --security-opt seccomp=unconfined --security-opt " +
  "systempaths=unconfined), or let the container be the sandbox: AIWORKER_SANDBOX=off"]:
    "en un contenedor, permitir los espacios de nombres de usuario (Docker: --security-opt seccomp=unconfined " +
    "--security-opt systempaths=unconfined), o dejar que el contenedor sea el sandbox: AIWORKER_SANDBOX=off",
  "slirp4netns is not installed (apt-get install slirp4netns)":
    "slirp4netns no está instalado (apt-get install slirp4netns)",
  "nsenter is not installed (apt-get install util-linux)": "nsenter no está instalado (apt-get install util-linux)",
  "slirp4netns needs {tun}, which can't be opened ({strerror})":
    "slirp4netns necesita {tun}, que no se puede abrir ({strerror})",
  "{directory} belongs to another user": "{directory} pertenece a otro usuario",
  "signal {number}": "señal {number}",
  "exited with {status}": "terminó con {status}",
  "was killed by {value}": "fue terminado por {value}",
  "found no room on the disk": "no encontró espacio en el disco",
  "was killed by {number}": "fue terminado por {number}",
  "git ended while it listed objects": "git terminó mientras listaba objetos",
  "it has more than {deepest} levels of folders": "tiene más de {deepest} niveles de carpetas",
  "it has more than {most_paths} files": "tiene más de {most_paths} archivos",
  "a tree is missing": "falta un árbol",
  "one of its folders has {size} bytes of names": "una de sus carpetas tiene {size} bytes de nombres",
  "the files could not be counted in time": "no se pudieron contar los archivos a tiempo",
  "it has {paths} files, more than {most_paths}": "tiene {paths} archivos, más de {most_paths}",
  "it has {folders} folders, more than {most_paths}": "tiene {folders} carpetas, más de {most_paths}",
  "its files have {content_bytes} bytes, more than {most_bytes}":
    "sus archivos tienen {content_bytes} bytes, más de {most_bytes}",
  "the names of its files have {path_bytes} bytes, more than {most_path_bytes}":
    "los nombres de sus archivos tienen {path_bytes} bytes, más de {most_path_bytes}",
  "it has {depth} levels of folders, more than {deepest}": "tiene {depth} niveles de carpetas, más de {deepest}",
  "{ref} can't be accepted: {error}": "no se puede aceptar {ref}: {error}",
  "git could not list the new objects": "git no pudo listar los objetos nuevos",
  "one of its files (object {large}) has more than {most} bytes":
    "uno de sus archivos (objeto {large}) tiene más de {most} bytes",
  "{name} needs Node.js, and there is no node; install Node.js 20 or newer":
    "{name} necesita Node.js, y no hay node; instalar Node.js 20 o posterior",
  "{setting}={chosen} is not a program; correct or remove it":
    "{setting}={chosen} no es un programa; corregirlo o quitarlo",
  "version {name} at {path}": "versión {name} en {path}",
  "{name} is not installed; install it with: {remedy}": "{name} no está instalado; instalarlo con: {remedy}",
  "{path} --version gave no answer within {search_seconds} s; install it anew with: {remedy}":
    "{path} --version no respondió en {search_seconds} s; instalarlo de nuevo con: {remedy}",
  "{path} can't be started ({strerror}); install: {remedy}":
    "no se puede iniciar {path} ({strerror}); instalar: {remedy}",
  "{path} --version does not say a version ({answer}); install: {remedy}":
    "{path} --version no dice una versión ({answer}); instalar: {remedy}",
  "{path} is version {version}; {oldest} or newer is needed: {remedy}":
    "{path} es la versión {version}; hace falta {oldest} o posterior: {remedy}",
  "version {version} at {path}": "versión {version} en {path}",
  "the advisories of AIWORKER_ADVISORIES can't be read: {error}":
    "no se pueden leer los avisos de AIWORKER_ADVISORIES: {error}",
  "{root} can't be created: {strerror}": "no se puede crear {root}: {strerror}",
  "{root} is not writable": "no se puede escribir en {root}",
  "{version} is too old; install git 2.38 or newer": "{version} es demasiado antigua; instalar git 2.38 o posterior",
  "the branch {default} of {name} was deleted in the meantime": "mientras tanto se eliminó la rama {default} de {name}",
  "the branch {branch} was deleted while it was being created": "se eliminó la rama {branch} mientras se creaba",
  "the default branch {branch} can't be moved by force": "la rama por defecto {branch} no se puede mover a la fuerza",
  "{new} does not contain {head}, the head of {branch}": "{new} no contiene {head}, la cabeza de {branch}",
  "the tag {tag} points at {found}, not at {commit}": "la etiqueta {tag} apunta a {found}, no a {commit}",
  "there is no pull request {number}": "no existe la pull request {number}",
  "{part} can't be part of a repository's name": "{part} no puede formar parte del nombre de un repositorio",
  "there is no repository {name}": "no existe el repositorio {name}",
  "the repository {name} belongs to another project": "el repositorio {name} pertenece a otro proyecto",
  "{head} changes too many files to list": "{head} cambia demasiados archivos para listarlos",
  "the files to compare exceed {limit} MiB together": "los archivos que comparar superan {limit} MiB en conjunto",
  "there is no file {blob}": "no existe el archivo {blob}",
  "exit code {code}": "código de salida {code}",
  "git {arguments} in no repository": "git {arguments} en ningún repositorio",
  "{step} took longer than {timeout_seconds} s and was stopped": "{step} tardó más de {timeout_seconds} s y se detuvo",
  "{step} wrote more than {most_output_bytes} bytes": "{step} escribió más de {most_output_bytes} bytes",
  "{step} exceeded its resource limits: {reason}": "{step} superó sus límites de recursos: {reason}",
  "{step} failed: the directory is not a git repository; restore it from a backup":
    "{step} falló: el directorio no es un repositorio git; restaurarlo de una copia de seguridad",
  "{step} failed: {reason}": "{step} falló: {reason}",
  "git can't be started: {strerror}; install git 2.38 or newer":
    "no se puede iniciar git: {strerror}; instalar git 2.38 o posterior",
  "{branch} is not a valid branch name": "{branch} no es un nombre de rama válido",
  "{tag} is not a valid tag name": "{tag} no es un nombre de etiqueta válido",
  "the list {path} is too long": "la lista {path} es demasiado larga",
  "{what} was not answered in time": "{what} no tuvo respuesta a tiempo",
  "{what} failed: {error}": "{what} falló: {error}",
  "make its authority known to this machine, or name a file with it in SSL_CERT_FILE":
    "dar a conocer su autoridad a esta máquina, o nombrar un archivo con ella en SSL_CERT_FILE",
  "the certificate of {host} is not trusted ({why})": "no se confía en el certificado de {host} ({why})",
  "the file that {named} names can't be read as certificates: {alone}":
    "el archivo que nombra {named} no se puede leer como certificados: {alone}",
  "{host} does not speak TLS as it should ({reason})": "{host} no habla TLS como debería ({reason})",
  "{what} failed: the connection was refused or closed": "{what} falló: la conexión se rechazó o se cerró",
  "{what} returned more than {max_body_bytes} bytes": "{what} devolvió más de {max_body_bytes} bytes",
  "{what} took longer than {whole_seconds} s": "{what} tardó más de {whole_seconds} s",
  "{what} was answered with {reason}": "la respuesta a {what} fue {reason}",
  "{what} was answered without JSON: it is being maintained, or the server at GITEA_URL is not Gitea":
    "la respuesta a {what} no tenía JSON: está en mantenimiento, o el servidor en GITEA_URL no es Gitea",
  "it does not answer within {whole_seconds} s": "no responde en {whole_seconds} s",
  "{what}: the server does not accept the token; set GITEA_TOKEN to a valid one":
    "{what}: el servidor no acepta el token; poner en GITEA_TOKEN uno válido",
  "{what} is not allowed ({reason}); set GITEA_TOKEN to a site administrator's token with all scopes":
    "{what} no está permitido ({reason}); poner en GITEA_TOKEN un token de un administrador del sitio con todos " +
    "los permisos",
  "{what} was redirected; set GITEA_URL to the server's own address":
    "{what} se redirigió; poner en GITEA_URL la dirección propia del servidor",
  "{what} was refused: {reason}": "{what} se rechazó: {reason}",
  "the branch {ref} was deleted while it was being created": "se eliminó la rama {ref} mientras se creaba",
  "the default branch {ref} can't be moved by force": "la rama por defecto {ref} no se puede mover a la fuerza",
  "{new} does not contain {head}, the head of {ref}": "{new} no contiene {head}, la cabeza de {ref}",
  "the tag {ref} points at {found}, not at {commit}": "la etiqueta {ref} apunta a {found}, no a {commit}",
  ["{name} is older than {product} {str}: scopes do not limit a token there (CVE-2026-28744, CVE-2026-28699), " +
  "so whoever gets a token has all rights of its owner; update the server"]:
    "{name} es anterior a {product} {str}: allí los permisos no limitan un token (CVE-2026-28744, CVE-2026-28699), " +
    "así que quien obtiene un token tiene todos los derechos de su dueño; actualizar el servidor",
  "the server at GITEA_URL is not Gitea": "el servidor de GITEA_URL no es Gitea",
  "Gitea's GET /user was answered with 404: the server is away, or not at GITEA_URL":
    "la respuesta a GET /user de Gitea fue 404: el servidor no está, o no está en GITEA_URL",
  "Gitea {name} is too old; 1.15 or newer is needed": "Gitea {name} es demasiado antiguo; hace falta 1.15 o posterior",
  ["the server does not show the new repository {owner}/{name} to {login}; if it requires a second factor of " +
  "everybody (TWO_FACTOR_AUTH), enrol that user"]:
    "el servidor no muestra el repositorio nuevo {owner}/{name} a {login}; si exige un segundo factor a todos " +
    "(TWO_FACTOR_AUTH), hay que darlo de alta para ese usuario",
  "the branch {default_branch} of {name} was deleted in the meantime":
    "mientras tanto se eliminó la rama {default_branch} de {name}",
  "{state} is not a valid status state": "{state} no es un estado válido",
  "the repository {name} was renamed or moved at the server: give it back its name and its owner there":
    "el repositorio {name} se renombró o se movió en el servidor: devolverle allí su nombre y su propietario",
  "the repository {name} is archived at the server, which takes no push: unarchive it there":
    "el repositorio {name} está archivado en el servidor, que no acepta envíos: desarchivarlo allí",
  "the organisation {owner} was renamed at the server: rename it back, or set AIWORKER_FORGE_OWNER":
    "la organización {owner} se renombró en el servidor: devolverle su nombre o definir AIWORKER_FORGE_OWNER",
  "{url} can't be imported: the server has no such repository":
    "no se puede importar {url}: el servidor no tiene ese repositorio",
  "there is no branch {branch} in {name}": "no existe la rama {branch} en {name}",
  "{sha} is not a full commit SHA": "{sha} no es un SHA de commit completo",
  "there is no commit {sha} in {name}": "no existe el commit {sha} en {name}",
  "the import": "la importación",
  "the server could not take {name} of {name2}: {message}": "el servidor no pudo aceptar {name} de {name2}: {message}",
  "the server's rules protect {name} in {name2}: {message}":
    "las reglas del servidor protegen {name} en {name2}: {message}",
  "{name} conflicts with an existing ref, the branch {other}: delete or rename that one, then try again":
    "{name} entra en conflicto con una referencia existente, la rama {other}: borrarla o cambiarle el nombre y " +
    "volver a intentarlo",
  "{name} conflicts with an existing ref: {message}":
    "{name} entra en conflicto con una referencia existente: {message}",
  "{name} of {name2} can't be moved: {message}": "no se puede mover {name} de {name2}: {message}",
  "the server refuses git {verb} of {name} with the platform's token; check GITEA_TOKEN":
    "el servidor rechaza git {verb} de {name} con el token de la plataforma; comprobar GITEA_TOKEN",
  "git {verb} of {name} failed: {reason}": "git {verb} de {name} falló: {reason}",
  "the pull request from {head} to {base} can't be created: {body}":
    "no se puede crear la pull request de {head} a {base}: {body}",
  "pull request {number} can't be marked as merged yet":
    "la pull request {number} aún no se puede marcar como fusionada",
  "the server keeps {name} at no usable address": "el servidor no guarda {name} en ninguna dirección utilizable",
  "the organisation {owner} can't be created; if that is a user's name, set AIWORKER_FORGE_OWNER to another":
    "no se puede crear la organización {owner}; si es el nombre de un usuario, poner otro en AIWORKER_FORGE_OWNER",
  "the server does not see the branch {default_branch} of {name} yet":
    "el servidor aún no ve la rama {default_branch} de {name}",
  ["the token's user {login} is not a site administrator and can't create users for runs; set GITEA_TOKEN to an " +
  "administrator's token"]:
    "el usuario {login} del token no es administrador del sitio y no puede crear usuarios para las ejecuciones; " +
    "poner en GITEA_TOKEN el token de un administrador",
  ["the server accepts no password of the user {username} and lets {login} create no token for it; set " +
  "[service] ENABLE_BASIC_AUTHENTICATION = true there"]:
    "el servidor no acepta ninguna contraseña del usuario {username} y no deja que {login} cree un token para él; " +
    "poner allí [service] ENABLE_BASIC_AUTHENTICATION = true",
  "{commit} has more than {most_statuses} statuses": "{commit} tiene más de {most_statuses} estados",
  "there is no commit {sha} in {stem}": "no existe el commit {sha} en {stem}",
  "{commits} is too large: {error}": "{commits} es demasiado grande: {error}",
  "the files of {commits} in {stem} can't be listed: {error}":
    "no se pueden listar los archivos de {commits} en {stem}: {error}",
  "commit {commits}": "el commit {commits}",
  "one of the commits {commits}": "uno de los commits {commits}",
  "there is no branch {ref} in {stem}": "no existe la rama {ref} en {stem}",
  "{ref} of {stem} can't be moved: {reason}": "no se puede mover {ref} de {stem}: {reason}",
  "{one} and {other} have no history in common": "{one} y {other} no tienen historia en común",
  "the task {title} can't be merged: {message}": "la tarea {title} no se puede fusionar: {message}",
  "{one} and {other} have {count} merge bases": "{one} y {other} tienen {count} bases de fusión",
  "{one} and {other} have more than {most_bases} merge bases":
    "{one} y {other} tienen más de {most_bases} bases de fusión",
  "does not exist": "no existe",
  "not to exist": "que no existiera",
  "the branch {branch} {actual}; it was expected {wanted}": "la rama {branch} {actual}; se esperaba {wanted}",
  "{name} has {size} bytes, more than {max_bytes}": "{name} tiene {size} bytes, más de {max_bytes}",
  "the import address is refused: {message}": "la dirección de importación se rechaza: {message}",
  "no DNS server answered for {host}": "ningún servidor DNS respondió por {host}",
  "{host} has no address ({strerror})": "{host} no tiene dirección ({strerror})",
  "{host} is not a valid host name": "{host} no es un nombre de host válido",
  "{host} resolves to a private address; the operator can allow it in AIWORKER_IMPORT_ALLOW":
    "{host} lleva a una dirección privada; quien opera la plataforma puede permitirla en AIWORKER_IMPORT_ALLOW",
  "must hold no user name or password": "no debe llevar usuario ni contraseña",
  "must be an http:// or https:// address": "debe ser una dirección http:// o https://",
  "must have no query, fragment or backslash": "no debe tener consulta, fragmento ni barra invertida",
  "{port} is not a valid port": "{port} no es un puerto válido",
  "{host} is a private address; the operator can allow it in AIWORKER_IMPORT_ALLOW":
    "{host} es una dirección privada; quien opera la plataforma puede permitirla en AIWORKER_IMPORT_ALLOW",
  "{head} has more than {most_merges} merges: put its work on one commit":
    "{head} tiene más de {most_merges} fusiones: hay que poner su trabajo en un solo commit",
  "{receipts_ref} was written by somebody else at the same time":
    "otro programa escribió {receipts_ref} al mismo tiempo",
  "another process holds {name}": "otro proceso retiene {name}",
  "pushes can't be checked: {hook} can't be executed; mount it without noexec":
    "no se pueden comprobar los envíos: no se puede ejecutar {hook}; montarlo sin noexec",
  "the imported repository has no branch {default_branch}, and its HEAD points at no branch":
    "el repositorio importado no tiene la rama {default_branch}, y su HEAD no apunta a ninguna rama",
  "the import did not end within {import_seconds} s and was stopped":
    "la importación no terminó en {import_seconds} s y se detuvo",
  "the server to import from reported an error: {reason}":
    "el servidor del que se importa informó de un error: {reason}",
  "the address can't be cloned: {reason}": "no se puede clonar la dirección: {reason}",
  "the repository {name} was removed meanwhile": "mientras tanto se quitó el repositorio {name}",
  "{name} is packed anew again and again; try again later":
    "{name} se empaqueta una y otra vez; volver a intentarlo más tarde",
  "{host} is a private address; the operator can allow it in AIWORKER_OUTGOING_ALLOW":
    "{host} es una dirección privada; quien opera la plataforma puede permitirla en AIWORKER_OUTGOING_ALLOW",
  "{host} has no address ({error})": "{host} no tiene dirección ({error})",
  "{host} resolves to a private address; the operator can allow it in AIWORKER_OUTGOING_ALLOW":
    "{host} lleva a una dirección privada; quien opera la plataforma puede permitirla en AIWORKER_OUTGOING_ALLOW",
  "{host}:{port} can't be reached ({strerror})": "no se puede conectar con {host}:{port} ({strerror})",
  "{host} did not answer within {whole_seconds} s": "{host} no respondió en {whole_seconds} s",
  "{host} did not answer ({name}: {error})": "{host} no respondió ({name}: {error})",
  "it redirects ({status}), which is not followed; set the url to the address that it names":
    "redirige ({status}), y eso no se sigue; poner como url la dirección que indica",
  "it answered {status}": "respondió {status}",
  "waits, as the receiver does not answer: {error}": "espera, porque el receptor no responde: {error}",
  "waits for the messages before it: each is sent once the receiver has answered the one before":
    "espera a los mensajes anteriores: cada uno se envía cuando el receptor ha respondido al anterior",
  "the Kubernetes API has no /version; check that the address is an API server":
    "la API de Kubernetes no tiene /version; comprobar que la dirección es un servidor de la API",
  "healthContains can't be checked with AIWORKER_KUBE_HEALTH=readiness: clear it, or set http":
    "healthContains no se puede comprobar con AIWORKER_KUBE_HEALTH=readiness: vaciarlo, o poner http",
  "the cluster refuses its pod: {message}": "el clúster rechaza su pod: {message}",
  "the namespace {namespace} exists and does not belong to project {project_id}":
    "el namespace {namespace} existe y no pertenece al proyecto {project_id}",
  "the namespace {namespace} is still being deleted": "el namespace {namespace} aún se está eliminando",
  "the deployment {namespace}/{name} does not belong to AiWorker":
    "el despliegue {namespace}/{name} no pertenece a AiWorker",
  "version id": "id de versión",
  "it was live and keeps crashing: {problem}": "estaba en marcha y no deja de fallar: {problem}",
  "its pods are ready, but at {url}{path} {problem}": "sus pods están listos, pero en {url}{path} {problem}",
  "it redirects to another host ({netloc})": "redirige a otro host ({netloc})",
  "it redirects to {scheme}, which is not checked": "redirige a {scheme}, que no se comprueba",
  "it does not answer ({name})": "no responde ({name})",
  "it answers with more than {most_redirects} redirects": "responde con más de {most_redirects} redirecciones",
  "it answers {status_code}": "responde {status_code}",
  "it answers without the text {contains}": "responde sin el texto {contains}",
  "the cluster has no {path}, or its namespace was deleted": "el clúster no tiene {path}, o se eliminó su namespace",
  "the Kubernetes API has no {path}": "la API de Kubernetes no tiene {path}",
  "the Kubernetes API did not answer {method} {path}: {error}":
    "la API de Kubernetes no respondió a {method} {path}: {error}",
  "the Kubernetes API answered {method} {path} with 403: {message}":
    "la API de Kubernetes respondió a {method} {path} con 403: {message}",
  "; `aiworker doctor` lists the missing permissions of the account":
    "; `aiworker doctor` lista los permisos que le faltan a la cuenta",
  "the Kubernetes API answered {what} with {status}: {message}":
    "la API de Kubernetes respondió a {what} con {status}: {message}",
  "the Kubernetes API's answer is not JSON: {content}": "la respuesta de la API de Kubernetes no es JSON: {content}",
  "the Kubernetes API's answer is not a JSON object: {content}":
    "la respuesta de la API de Kubernetes no es un objeto JSON: {content}",
  "dockerImage {image} is not an image name": "dockerImage {image} no es el nombre de una imagen",
  "a pod can't clone from a path on another machine; use AIWORKER_FORGE=gitea with this runtime":
    "un pod no puede clonar de una ruta de otra máquina; usar AIWORKER_FORGE=gitea con este entorno de ejecución",
  "project id": "id de proyecto",
  "{what} {value} is not a valid Kubernetes name": "{what} {value} no es un nombre válido de Kubernetes",
  "{what} {value} is not a valid Kubernetes label value":
    "{what} {value} no es un valor válido de una etiqueta de Kubernetes",
  "{what} {value} is not a quantity such as 512Mi or 500m": "{what} {value} no es una cantidad como 512Mi o 500m",
  "{what} is {value}, which Kubernetes takes as no limit at all":
    "{what} es {value}, que Kubernetes toma como si no hubiera límite",
  "the cluster removed its pod: {reason}": "el clúster quitó su pod: {reason}",
  "the pod {namespace}/{name} is not an agent of AiWorker": "el pod {namespace}/{name} no es un agente de AiWorker",
  ["the namespace {namespace} exists and is not for the agents of this AiWorker; set AIWORKER_AGENTS_NAMESPACE " +
  "to another name"]:
    "el namespace {namespace} existe y no es para los agentes de este AiWorker; poner otro nombre en " +
    "AIWORKER_AGENTS_NAMESPACE",
  "the local runtime can't do {verb} now: {message}": "el entorno local no puede hacer {verb} ahora: {message}",
  "the local runtime refused {verb}: {message}": "el entorno local rechazó {verb}: {message}",
  "it closed the connection": "cerró la conexión",
  "the local runtime's supervisor does not answer at {socket_path} ({error}); is `aiworker up` running?":
    "el supervisor del entorno local no responde en {socket_path} ({error}); ¿está en marcha `aiworker up`?",
  "the project's quota is used up: {message}": "se ha agotado la cuota del proyecto: {message}",
  "the cluster refused to create its pod: {message}": "el clúster se negó a crear su pod: {message}",
  "the cluster gave no reason": "el clúster no dio ningún motivo",
  "it could not be run: {pods}": "no se pudo ejecutar: {pods}",
  "it took longer than {timeout_seconds} s": "tardó más de {timeout_seconds} s",
  "its pod ran longer than {seconds} s": "su pod se ejecutó más de {seconds} s",
  "its pod was killed: it used more memory than its limit{list}":
    "su pod se detuvo: usó más memoria que su límite{list}",
  "its pod can't run: {problem}": "su pod no se puede ejecutar: {problem}",
  "its pod exited with {code}: {message}": "su pod terminó con {code}: {message}",
  "its container could not be started: {ended}": "no se pudo iniciar su contenedor: {ended}",
  "fetching its image and code took too long: its pod's deadline passed before the command's time limit":
    "obtener su imagen y su código tardó demasiado: el plazo de su pod venció antes que el tiempo límite del comando",
  "it was killed: it used more memory than its limit{pods}": "se detuvo: usó más memoria que su límite{pods}",
  "it exited with {code}": "terminó con {code}",
  "no node accepts its pod: {message}": "ningún nodo acepta su pod: {message}",
  "the image {container} can't be fetched ({reason}): {message}":
    "no se puede obtener la imagen {container} ({reason}): {message}",
  "its container can't be created ({reason}): {message}": "no se puede crear su contenedor ({reason}): {message}",
  "it was killed {count} times: it used more memory than its limit":
    "se detuvo {count} veces: usó más memoria que su límite",
  "it exited with {last} and was restarted {count} times": "terminó con {last} y se reinició {count} veces",
  "it used more memory than its limit": "usó más memoria que su límite",
  "it exited with {exitCode}": "terminó con {exitCode}",
  "the {name} failed: {how}: {last}": "{name} falló: {how}: {last}",
  "it took longer than {setup_seconds} s": "tardó más de {setup_seconds} s",
  "the setup command failed: {how}: {last}": "el comando de preparación falló: {how}: {last}",
  "there is nothing to run": "no hay nada que ejecutar",
  "git used more memory than its limit": "git usó más memoria que su límite",
  "the commit could not be checked out: {message}": "no se pudo extraer el commit: {message}",
  "no node accepted its pod within {seconds} s: {message}": "ningún nodo aceptó su pod en {seconds} s: {message}",
  "it runs, but {path} gives no healthy answer; the cluster restarts only what ends, so roll it back if that stays so":
    "se ejecuta, pero {path} no da una respuesta sana; el clúster solo reinicia lo que termina, así que hay que " +
    "revertirla si sigue así",
  "its Deployment was scaled to 0 in the cluster: scale it up there":
    "su Deployment se redujo a 0 en el clúster: hay que ampliarlo allí",
  "it runs, but {path} gave no healthy answer within {seconds} s":
    "se ejecuta, pero {path} no dio una respuesta sana en {seconds} s",
  "its pod has not ended {most_seconds_after_end} s after its command: its node may be lost":
    "su pod no ha terminado {most_seconds_after_end} s después de su comando: puede que su nodo se haya perdido",
  "its pod was removed before the cluster noted that it had ended":
    "su pod se quitó antes de que el clúster anotara que había terminado",
  "its pod is gone, and with it what its tests reported": "su pod ya no existe, ni lo que informaron sus pruebas",
  "its container did not start within {seconds} s{why}": "su contenedor no se inició en {seconds} s{why}",
  ["production was rolled back from {commit_sha}, which is still in {default_branch}: add a task created since " +
  "then that fixes or reverts it (labelled {fix} or {revert}), or set acceptRolledBack"]:
    "se revirtió producción desde {commit_sha}, que sigue en {default_branch}: añadir una tarea creada desde " +
    "entonces que lo arregle o lo revierta (con la etiqueta {fix} o {revert}), o poner acceptRolledBack",
  "A command that speaks the Agent Client Protocol": "Un comando que habla el Agent Client Protocol",
  "Another command": "Otro comando",
  "Steps in the task's description, without a model": "Pasos en la descripción de la tarea, sin modelo",
  ["It depends on task {title}, which is cancelled, so no agent begins it: take this dependency away, or cancel " +
  "it, too."]:
    "Depende de la tarea {title}, que está cancelada, así que ningún agente la empieza: quitar esta dependencia, o " +
    "cancelarla también.",
  "take this dependency away": "quitar esta dependencia",
  "put it into the same group, or deliver it first": "ponerla en el mismo grupo, o entregarla antes",
  "task {title} depends on task {title2}, which is {state}: {remedy}":
    "la tarea {title} depende de la tarea {title2}, que está en estado «{state}»: {remedy}",
  ["task {title} depends on task {title2}, which was rolled back from production: remove {title3}, or set " +
  "acceptRolledBack if what it needs is in place"]:
    "la tarea {title} depende de la tarea {title2}, que se revirtió en producción: quitar {title3}, o poner " +
    "acceptRolledBack si lo que necesita está en su sitio",
  "the deployment of {commit_sha} to {environment} is {state}; wait for it to end":
    "el despliegue de {commit_sha} en {environment} está en estado «{state}»; esperar a que termine",
  "the deployment of {commit_sha} is {state}; only a live one can be visited":
    "el despliegue de {commit_sha} está en estado «{state}»; solo se puede visitar uno en marcha",
  "this is a preview; only staging and production can be rolled back":
    "esto es una vista previa; solo se pueden revertir staging y producción",
  "version {commit_sha} on {environment} is {state}; only the live one can be rolled back":
    "la versión {commit_sha} de {environment} está en estado «{state}»; solo se puede revertir la que está en marcha",
  "{environment} can't be rolled back to {commit_sha}: {reason}":
    "no se puede revertir {environment} a {commit_sha}: {reason}",
  "{environment} has no version before {commit_sha} that was healthy and not rolled back since":
    "en {environment} no hay ninguna versión anterior a {commit_sha} que haya estado sana y no se haya revertido " +
    "desde entonces",
  "version {commit_sha} is {state}; only an older healthy one can be deployed again":
    "la versión {commit_sha} está en estado «{state}»; solo se puede volver a desplegar una anterior que estuvo sana",
  "See what the CI says of it, take out the task that breaks it, or mend the CI, and retry.":
    "Mirar qué dice de él la CI, sacar la tarea que lo rompe o arreglar la CI, y volver a intentarlo.",
  "Have the CI run on pushes to {release_prefix}*, and retry.":
    "Hacer que la CI se ejecute con los envíos a {release_prefix}*, y volver a intentarlo.",
  "See what the CI does with it, and retry.": "Mirar qué hace la CI con él, y volver a intentarlo.",
  "{says} It is the merged commit {head_sha} ({branch}). No task is blamed, and all stay in the group. {remedies}":
    "{says} Es el commit fusionado {head_sha} ({branch}). No se culpa a ninguna tarea, y todas siguen en el grupo. " +
    "{remedies}",
  "Tests in quarantine failed, which counts for nothing: {names}":
    "Fallaron pruebas en cuarentena, lo que no cuenta: {names}",
  "It went on, as most of them passed; no task is blamed.":
    "Continuó, porque la mayoría se superó; no se culpa a ninguna tarea.",
  "the tests failed": "las pruebas fallaron",
  "No task is blamed, and all stay in the group. Mend the tests or put them into quarantine, and retry.":
    "No se culpa a ninguna tarea, y todas siguen en el grupo. Arreglar las pruebas o ponerlas en cuarentena, y " +
    "volver a intentarlo.",
  "Tests of this task were flaky before: they are run again, to see whether they still are.":
    "Algunas pruebas de esta tarea fueron inestables antes: se ejecutan otra vez para ver si lo siguen siendo.",
  ["The default branch {branch} is red without any task of the group: {tx}. No task is blamed, and all stay in " +
  "the group. Fix {branch2}, or add a task that does, and retry."]:
    "La rama por defecto {branch} está en rojo sin ninguna tarea del grupo: {tx}. No se culpa a ninguna tarea, y " +
    "todas siguen en el grupo. Arreglar {branch2}, o añadir una tarea que lo haga, y volver a intentarlo.",
  "The tests are flaky: {tx}. {so}": "Las pruebas son inestables: {tx}. {so}",
  "{tx}, where it is merged, and before that {tx2}: {reason}": "{tx}, donde se fusiona, y antes de eso {tx2}: {reason}",
  "failed in {failed}": "fallaron en {failed}",
  "passed in {total}": "se superaron en {total}",
  "the tests {how} of {total} {runs} at {tx} ({branch})": "las pruebas {how} de {total} {runs} en {tx} ({branch})",
  "the task was put into another group just now; try again":
    "la tarea se acaba de poner en otro grupo; volver a intentarlo",
  "depends on task {title}, which is {state} and not in this group: {remedy}":
    "depende de la tarea {title}, que está en estado «{state}» y no está en este grupo: {remedy}",
  "deliver them together": "hay que entregarlas juntas",
  ["conflicts with {against} and the tasks before it in {branch} (at {expected_head}) in {files}. Merge " +
  "{against2} into your branch once the others are delivered, and resolve it there."]:
    "entra en conflicto con {against} y las tareas anteriores en {branch} (en {expected_head}) en {files}. " +
    "Fusionar {against2} en su rama cuando las demás estén entregadas, y resolverlo allí.",
  ["has the same commits as a task before it in {branch} (at {expected_head}), and one of the two takes back " +
  "what the other changed in {files}. Merge {against} into your branch once the others are delivered, and make " +
  "what you want of it there."]:
    "tiene los mismos commits que una tarea anterior en {branch} (en {expected_head}), y una de las dos deshace lo " +
    "que la otra cambió en {files}. Fusionar {against} en su rama cuando las demás estén entregadas, y hacer allí " +
    "lo que se quiera de ello.",
  ["has no history in common with {against} any more, because somebody replaced {against2} by another history. " +
  "Do the work again on a branch that starts at {against3}."]:
    "ya no tiene historia en común con {against}, porque alguien sustituyó {against2} por otra historia. Rehacer " +
    "el trabajo en una rama que empiece en {against3}.",
  "its pull request could not be opened: {masked}": "no se pudo abrir su pull request: {masked}",
  "The preview runs at {url}": "La vista previa está en marcha en {url}",
  "There is nothing to run.": "No hay nada que ejecutar.",
  "The preview does not run.": "La vista previa no funciona.",
  "Several commits begin with it: give more digits": "Varios commits empiezan así: dar más dígitos",
  "It failed. Build it again first.": "Ha fallado. Primero hay que construirlo de nuevo.",
  "It is on its way there.": "Va de camino.",
  "It goes there by itself once it is merged and tested.": "Va allí solo cuando esté fusionado y probado.",
  "Another version is being deployed there. Wait for it to end.":
    "Se está desplegando otra versión allí. Hay que esperar a que termine.",
  "It has to run on staging first.": "Primero tiene que correr en staging.",
  "The default branch has moved since it was built. Build it again.":
    "La rama por defecto ha cambiado desde que se construyó. Hay que construirlo de nuevo.",
  "Staging runs another version now. Build it again.":
    "Staging ejecuta ahora otra versión. Hay que construirlo de nuevo.",
  "it could not be deployed to staging: {masked}": "no se pudo desplegar en staging: {masked}",
  "the rollback to {commit_sha} failed, too; the next one begins after {until} UTC":
    "la reversión a {commit_sha} también falló; la siguiente empieza después de las {until} UTC",
  "{error}; the rollback to {commit_sha} can't begin: {error2}":
    "{error}; la reversión a {commit_sha} no puede empezar: {error2}",
  "not rolled back, as the machine is at fault": "no se revirtió, porque el fallo es de la máquina",
  "not rolled back, as it fails before its own program starts":
    "no se revirtió, porque falla antes de que arranque su propio programa",
  "No such project": "No existe ese proyecto",
  "project {id} is {state}; only an active one can deliver":
    "el proyecto {id} está en estado «{state}»; solo uno activo puede entregar",
  "There is no task {task_id} in this project": "No existe la tarea {task_id} en este proyecto",
  "task {title} is {state}; only approved tasks can be grouped":
    "la tarea {title} está en estado «{state}»; solo se pueden agrupar tareas aprobadas",
  "task {title} is in group {label} already": "la tarea {title} ya está en el grupo {label}",
  "task group {label} is {state}; it can't be deployed to staging":
    "el grupo {label} está en estado «{state}»; no se puede desplegar en staging",
  "task group {label} is {state}; only staging can go to production":
    "el grupo {label} está en estado «{state}»; solo desde staging se puede pasar a producción",
  ["task group {label} was {state}, but the default branch has moved to {default_head}: it is being merged and " +
  "tested anew"]:
    "el grupo {label} estaba en estado «{state}», pero la rama por defecto ha pasado a {default_head}: se está " +
    "fusionando y probando de nuevo",
  "task group {label} is {state}, but staging runs another version now: retry it":
    "el grupo {label} está en estado «{state}», pero staging ejecuta ahora otra versión: volver a intentarlo",
  "task group {label} is {state}; it can't be retried":
    "el grupo {label} está en estado «{state}»; no se puede volver a intentar",
  "task group {label} is {state}; tasks can't be taken out now":
    "el grupo {label} está en estado «{state}»; ahora no se pueden sacar tareas",
  "The repository's own CI is awaited.": "Se espera a la CI del propio repositorio.",
  "The project names no tests.": "El proyecto no indica pruebas.",
  "The project named no tests when the branch was merged.":
    "El proyecto no indicaba pruebas cuando se fusionó la rama.",
  "The tests passed on the merged branch.": "Las pruebas se superaron en la rama fusionada.",
  "The branch could not be tested.": "No se pudo probar la rama.",
  "The branch is being merged and tested.": "Se está fusionando y probando la rama.",
  "{reason} (declared by {commit_sha})": "{reason} (declarado por {commit_sha})",
  "the first request with this key has just failed; send it again":
    "la primera petición con esta clave acaba de fallar; enviarla de nuevo",
  "the first request with this key is still under way": "la primera petición con esta clave aún está en curso",
  "the webhook was switched off before this was delivered": "el webhook se desactivó antes de entregar esto",
  "delivery {id} is {state}; only one that was given up is tried again":
    "la entrega {id} está en estado «{state}»; solo se vuelve a intentar una que se haya abandonado",
  "the webhook is switched off; give it a url and switch it on":
    "el webhook está desactivado; darle una url y activarlo",
  "the webhook has no url; send one to switch it on": "el webhook no tiene url; enviar una para activarlo",
  "Must be {secret_prefix} and the base64 of {least_secret_bytes} to {most_secret_bytes} bytes":
    "Debe ser {secret_prefix} y de {least_secret_bytes} a {most_secret_bytes} bytes en base64",
  "Invalid credentials": "El usuario o la contraseña no son correctos",
  "an API token can't be logged out; delete it with DELETE /api/tokens/:id":
    "un token de API no puede cerrar sesión; eliminarlo con DELETE /api/tokens/:id",
  "the username {username} is taken": "el usuario {username} ya existe",
  "Is not your password": "No es la contraseña actual",
  "an API token can't change the password; log in with it":
    "un token de API no puede cambiar la contraseña; hay que iniciar sesión con ella",
  "the password was changed by another request just now": "otra petición acaba de cambiar la contraseña",
  "user {username} is the last active administrator": "el usuario {username} es el último administrador activo",
  "Must have 1 to 64 letters, digits, dots, dashes and underscores":
    "Debe tener de 1 a 64 letras, dígitos, puntos, guiones y guiones bajos",
  "Is reserved for the platform": "Está reservado para la plataforma",
  "Must have {shortest_password} to {longest_password} characters":
    "Debe tener de {shortest_password} a {longest_password} caracteres",
  "Is too easy to guess; choose several unrelated words":
    "Es demasiado fácil de adivinar; elegir varias palabras sin relación",
  "an API token can't end sessions; log in instead":
    "un token de API no puede terminar sesiones; hay que iniciar sesión",
  "all database connections are in use": "todas las conexiones a la base de datos están en uso",
  "Must be in the future": "Debe estar en el futuro",
  "Must be within {longest_days} days": "Debe ser dentro de {longest_days} días",
  "No active user of this name may answer questions in this project":
    "Ningún usuario activo con este nombre puede responder preguntas en este proyecto",
  "no task can start: {reason}": "ninguna tarea puede empezar: {reason}",
  "the links of {commit} can't be followed": "no se pueden seguir los enlaces de {commit}",
  "the branch rules are not those of its settings: {reason}; retry the job project.protect once that is solved":
    "las reglas de las ramas no son las de sus ajustes: {reason}; reintentar el trabajo project.protect cuando " +
    "esté resuelto",
  "Not a branch name of letters, digits and any of _ . - /":
    "No es un nombre de rama con letras, dígitos y alguno de _ . - /",
  "Is reserved for git": "Está reservado para git",
  "project {project_id} is deleting": "el proyecto {project_id} se está eliminando",
  "Must be left out with importUrl: the repository starts with what is imported":
    "Debe omitirse con importUrl: el repositorio empieza con lo importado",
  "Needs Gitea or Forgejo: in the built-in forge, no CI sets statuses":
    "Necesita Gitea o Forgejo: en el forge integrado, ninguna CI pone estados",
  "Is not among secretEnvVars": "No está entre secretEnvVars",
  "Must be left out with secretEnvVars, which replaces all":
    "Hay que omitirlo junto con secretEnvVars, que las sustituye todas",
  "Is in envVars too": "También está en envVars",
  "Is in secretEnvVars too": "También está en secretEnvVars",
  "{unknown} is not among secretEnvVars": "{unknown} no está entre secretEnvVars",
  "There is already a project named {name}": "Ya existe un proyecto llamado {name}",
  "project {id} is deleting": "el proyecto {id} se está eliminando",
  "the project is being deleted": "el proyecto se está eliminando",
  "Must be a name of letters, digits and underscores": "Debe ser un nombre con letras, dígitos y guiones bajos",
  "Is set by the platform": "Lo pone la plataforma",
  "Must be a text": "Debe ser un texto",
  "Must not contain NUL": "No debe contener NUL",
  "Must have at most {longest_value_bytes} bytes": "Debe tener {longest_value_bytes} bytes como máximo",
  "its pod confines the commands of its run": "su pod confina los comandos de su ejecución",
  "It has no driver.": "No tiene driver.",
  "this platform does not know it": "esta plataforma no lo conoce",
  "It can work with none of its drivers. {reasons}": "No puede trabajar con ninguno de sus drivers. {reasons}",
  "agent {id} is {state} with one live run; drain it first":
    "el agente {id} está en estado «{state}» con una ejecución en curso; hay que drenarlo antes",
  "agent {id} is {state} with {live} live runs; drain it first":
    "el agente {id} está en estado «{state}» con {live} ejecuciones en curso; hay que drenarlo antes",
  "its agent sent no heartbeat for a minute": "su agente no ha dado señales durante un minuto",
  "; last seen: {last}": "; visto por última vez: {last}",
  "its agent sent no heartbeat within {start_seconds} s{because}":
    "su agente no dio señales en {start_seconds} s{because}",
  "its agent can't work: {error}": "su agente no puede trabajar: {error}",
  "its pod ended": "su pod terminó",
  "its agent ended before it took the run": "su agente terminó antes de tomar la ejecución",
  "its pod could not be run: {reason}": "no se pudo ejecutar su pod: {reason}",
  "All agents are draining or offline, so nobody begins it: start one, with `aiworker up` or `aiworker agent`.":
    "Todos los agentes se están drenando o están desconectados, así que nadie la empieza: iniciar uno, con " +
    "`aiworker up` o `aiworker agent`.",
  ["The driver {wanted} needs a provider of models with the API {apis}, and none is enabled: an administrator " +
  "can add one."]:
    "El driver {wanted} necesita un proveedor de modelos con la API {apis}, y no hay ninguno activado: un " +
    "administrador puede añadir uno.",
  "An administrator can add a model provider for {waiting}":
    "Un administrador puede añadir un proveedor de modelos para {waiting}",
  "Run `aiworker drivers install claude` where the agents run, and add a model provider":
    "Ejecutar `aiworker drivers install claude` donde corren los agentes, y añadir un proveedor de modelos",
  "It waits for a driver that reads plain words. {remedy}; or write it as steps.":
    "Espera un driver que lea texto normal. {remedy}; o escribirla como pasos.",
  "no agent with the driver {driver} is free": "ningún agente con el driver {driver} está libre",
  "it could not begin within one minute: {why}": "no pudo empezar en un minuto: {why}",
  "it could not begin within {minutes} minutes: {why}": "no pudo empezar en {minutes} minutos: {why}",
  "The review has not begun: {why}": "La revisión no ha empezado: {why}",
  "{count} reviews were lost, the last one because: {last}":
    "se perdieron {count} revisiones, la última porque: {last}",
  "{driver} gave no verdict: {last}": "{driver} no dio ningún veredicto: {last}",
  "it gave no reason": "no dio ningún motivo",
  "the provider of models takes no calls for now. {limit_reason}":
    "el proveedor de modelos no admite llamadas por ahora. {limit_reason}",
  "Reviewed by {driver}: {verdict}: {summary}{same}": "Revisado por {driver}: {verdict}: {summary}{same}",
  "requests changes": "pide cambios",
  " It is the driver and model that did the work.": " Es el mismo driver y modelo que hizo el trabajo.",
  "Not reviewed: {why}": "Sin revisar: {why}",
  "The review that the project requires did not take place: {why}":
    "No se hizo la revisión que exige el proyecto: {why}",
  "{driver} reviews the commit.": "{driver} revisa el commit.",
  "{reason}; last seen: {last}": "{reason}; visto por última vez: {last}",
  "its agent did not claim it": "su agente no la tomó",
  "its agent gave it back": "su agente la devolvió",
  "its agent waits for nothing": "su agente no espera nada",
  "The provider of models takes no calls for now. {limit_reason}":
    "El proveedor de modelos no admite llamadas por ahora. {limit_reason}",
  "its agent was restarted": "su agente se reinició",
  "its agent can't work: {fault}": "su agente no puede trabajar: {fault}",
  "run {id} is over ({outcome}): {reason}": "la ejecución {id} ha terminado ({outcome}): {reason}",
  "stop working on it": "hay que dejar de trabajar en ella",
  "Nobody answers a review: give your verdict by what you can read":
    "Nadie responde a una revisión: dar el veredicto según lo que se pueda leer",
  "This run has asked {most_questions} questions: use the answers, or end the run":
    "Esta ejecución ha hecho {most_questions} preguntas: usar las respuestas, o terminarla",
  "the agent gave no reason": "el agente no dio ningún motivo",
  "task {id} is {state}: no agent will read this; write a new task":
    "la tarea {id} está en estado «{state}»: ningún agente leerá esto; escribir una tarea nueva",
  ["no agent is at work on task {id}, so there is nothing to interrupt; send the message without interrupt, and " +
  "the next run gets it"]:
    "ningún agente trabaja en la tarea {id}, así que no hay nada que interrumpir; enviar el mensaje sin " +
    "interrumpir, y lo recibirá la próxima ejecución",
  "run {run_id} is over: stop working on it": "la ejecución {run_id} ha terminado: hay que dejar de trabajar en ella",
  "run {id} is over: stop working on it": "la ejecución {id} ha terminado: hay que dejar de trabajar en ella",
  "task {id} is held by {held_by}, who can hand it back, or a maintainer":
    "{held_by} tiene la tarea {id} y puede devolverla, o un mantenedor",
  "the work on task {id} is being verified; take it over when that is done":
    "se está verificando el trabajo de la tarea {id}; tomarla cuando termine",
  "task {id} is {state}; it can be taken over from {among}":
    "la tarea {id} está en estado «{state}»; se puede tomar desde {among}",
  "task {id} has no branch yet: no agent has begun; push a branch of your own instead":
    "la tarea {id} aún no tiene rama: ningún agente ha empezado; enviar una rama propia",
  "taken over by {actor}": "la tomó {actor}",
  "taken over by {held_by}; its agent did not stop within {release_seconds} s":
    "la tomó {held_by}; su agente no paró en {release_seconds} s",
  "nobody holds task {id}, which is {state}, so it can't be handed back":
    "nadie tiene la tarea {id}, que está en estado «{state}», así que no se puede devolver",
  ["the agent of task {id} still pushes what it has done; hand the task back when its run is over, " +
  "{release_seconds} seconds after you took it over at the latest"]:
    "el agente de la tarea {id} aún envía lo que ha hecho; devolver la tarea cuando termine su ejecución, como " +
    "mucho {release_seconds} segundos después de tomarla",
  "The run has read {read} tokens and changed no file":
    "La ejecución ha leído {read} tokens y no ha cambiado ningún archivo",
  "The run's last {most} calls were the same one and failed each time: {title}":
    "Las últimas {most} llamadas de la ejecución fueron la misma y fallaron siempre: {title}",
  "{what}, so it was stopped as stuck.": "{what}, así que se detuvo por estar atascada.",
  "{stop_reason} What should it do? Its work so far is kept, and your answer goes to the same session.":
    "{stop_reason} ¿Qué debería hacer? Su trabajo hasta ahora se conserva, y la respuesta llega a la misma sesión.",
  "Requests changes": "Pide cambios",
  "run {id} is over": "la ejecución {id} ha terminado",
  "This run is no review: do the task, and end your turn":
    "Esta ejecución no es una revisión: hacer la tarea y terminar el turno",
  "This review said {verdict} before, and that stands: end your turn":
    "Esta revisión ya dijo {verdict}, y eso queda: terminar el turno",
  "{reason} Spent on: {shares}.": "{reason} Gastado en: {shares}.",
  "A cap of spending is reached": "Se ha alcanzado un límite de gasto",
  "The {scope} has used {amount} of {most} today (UTC).": "{scope} ha usado hoy (UTC) {amount} de {most}.",
  "The {scope} has used {amount} of {most}.": "{scope} ha usado {amount} de {most}.",
  "{who} can raise the {cap}: then the task goes on{by_itself}.":
    "{who} puede subir el {cap}: entonces la tarea continúa{by_itself}.",
  "{obstacle}: the {cap} is {most}. {who} can raise it: then the task begins{by_itself}.":
    "{obstacle}: el {cap} es {most}. {who} puede subirlo: entonces la tarea empieza{by_itself}.",
  "An administrator": "Un administrador",
  "{scope}'s daily cap": "límite diario para {scope}",
  ", or it does so by itself on {until} at 00:00 UTC": ", o lo hace sola el {until} a las 00:00 UTC",
  "The provider {name} offers only: {offered}": "El proveedor {name} solo ofrece: {offered}",
  "Must be another provider; for another model of the same, set fallbackModel alone":
    "Debe ser otro proveedor; para otro modelo del mismo, poner solo fallbackModel",
  "none yet": "todavía ninguno",
  "Must be a stored provider of the api {api}; there are: {known}":
    "Debe ser un proveedor guardado de la API {api}; hay: {known}",
  "Leads too far or in a circle: {list}": "Lleva demasiado lejos o en círculo: {list}",
  "Leads in a circle: {list}": "Lleva en círculo: {list}",
  "{others} names it as its fallback; change that first": "{others} lo tiene como alternativa; cambiar eso antes",
  "Must be one of: {known}": "Debe ser uno de: {known}",
  "There is already a model provider named {name}": "Ya existe un proveedor de modelos llamado {name}",
  ["The environment names this provider: change the variables of {api} there and restart, or create a provider " +
  "with the api {api2}, which takes its place"]:
    "Lo nombra el entorno: cambiar allí las variables de {api} y reiniciar, o crear un proveedor con la API " +
    "{api2}, que ocupa su lugar",
  "Must be one of: {model_apis}": "Debe ser uno de: {model_apis}",
  "Must have 1 to 40 lower-case letters, digits and hyphens, and no hyphen at either end":
    "Debe tener de 1 a 40 minúsculas, dígitos y guiones, sin guion al principio ni al final",
  "{name} is the name of another API than this provider's ({api})":
    "{name} es el nombre de otra API que la de este proveedor ({api})",
  "Must be one of: {logins}": "Debe ser uno de: {logins}",
  "subscription is for the api anthropic only; use key": "subscription es solo para la API anthropic; usar key",
  "The login none takes no key; use the login key": "El acceso none no lleva clave; usar el acceso key",
  "an API key": "una clave de API",
  "the token that `claude setup-token` prints": "el token que muestra `claude setup-token`",
  "Required with the login {login}: {what}": "Obligatorio con el acceso {login}: {what}",
  "Must be an http or https address, such as https://api.anthropic.com":
    "Debe ser una dirección http o https, como https://api.anthropic.com",
  "Must contain no user name or password: put the key into `key`":
    "No debe contener usuario ni contraseña: poner la clave en `key`",
  "Must have no query and no fragment": "No debe tener consulta ni fragmento",
  "This is the platform's own address; give that of the model provider":
    "Esta es la dirección de la propia plataforma; dar la del proveedor de modelos",
  "The budget is used up.": "Se ha agotado el presupuesto.",
  "The run has used {tokens} tokens; its limit is {most_tokens} (maxTokens)":
    "La ejecución ha usado {tokens} tokens; su límite es {most_tokens} (maxTokens)",
  "The run has cost {usage} USD; its limit is {most_usd} (maxCostUsd)":
    "La ejecución ha costado {usage} USD; su límite es {most_usd} (maxCostUsd)",
  "Splits the figures of days by something else: use it with by=day":
    "Divide las cifras de los días por otra cosa: usarlo con by=day",
  "Must be before `to`": "Debe ser anterior a `to`",
  "Must be at most {most_days} days before `to`": "Debe ser como máximo {most_days} días anterior a `to`",
  Required: "Obligatorio",
  "Must not be empty": "No debe estar vacío",
  "At most {most_variables} variables": "Como máximo {most_variables} variables",
  "At most {most_bytes} MiB": "Como máximo {most_bytes} MiB",
  "task {id} has {count} attachments, which is the most; delete one first":
    "la tarea {id} tiene {count} adjuntos, que es el máximo; eliminar uno antes",
  "the attachments of task {id} may have {most} together; delete one first":
    "los adjuntos de la tarea {id} pueden tener {most} en conjunto; eliminar uno antes",
  "Must have a visible character that is no dot, and name a file, not a folder":
    "Debe tener un carácter visible que no sea un punto, y nombrar un archivo, no una carpeta",
  "the newest proof of task {id} names no findings":
    "la última verificación de la tarea {id} no nombra ningún hallazgo",
  "{strange} is not among the findings of the newest proof":
    "{strange} no está entre los hallazgos de la última verificación",
  "at most {most_kept} findings can be let go by name; set the project's scans to warn":
    "se pueden dejar ir por su nombre {most_kept} hallazgos como máximo; poner en el proyecto que los análisis avisen",
  "a person let the findings go": "una persona dejó ir los hallazgos",
  "{count} tests are in quarantine, and the project's mostQuarantined allows no more":
    "{count} pruebas están en cuarentena, y mostQuarantined del proyecto no permite más",
  "given up after {attempts}{losses} lost runs; the last one: {reason}":
    "abandonada tras {attempts}{losses} ejecuciones perdidas; la última: {reason}",
  "no tests were run": "no se ejecutó ninguna prueba",
  "there is no report of this commit for the project's present commands; reports are deleted after {KEPT_DAYS} days":
    "no hay informe de este commit para los comandos actuales del proyecto; los informes se borran a los " +
    "{KEPT_DAYS} días",
  "the newest proof of task {id} names no lost tests":
    "la última verificación de la tarea {id} no nombra pruebas perdidas",
  "{strange} is not among the lost tests of the newest proof":
    "{strange} no está entre las pruebas perdidas de la última verificación",
  "at most {most_kept} tests can be let go by name; set the project's testsLost to warn":
    "se pueden dejar ir por su nombre {most_kept} pruebas como máximo; poner en el proyecto que testsLost avise",
  "a person let the lost tests go": "una persona dejó ir las pruebas perdidas",
  "The files that belong to it are still being added. Add what is missing, then start it.":
    "Todavía se están añadiendo los archivos que le corresponden. Añadir los que falten y empezarla después.",
  "task {id} is {phase}; only a parked task can be resumed":
    "la tarea {id} está en estado «{phase}»; solo se puede continuar una tarea aparcada",
  "a cap of spending leaves task {id} no room. {reason}": "un límite de gasto no deja margen a la tarea {id}. {reason}",
  "A run may propose {most_proposals} tasks; this one may propose {room} more":
    "Una ejecución puede proponer {most_proposals} tareas; esta puede proponer {room} más",
  "proposal {id} is {state}": "la propuesta {id} está en estado «{state}»",
  "nobody answered within {minutes} minutes: {question}": "nadie respondió en {minutes} minutos: {question}",
  "question {id} is {state}": "la pregunta {id} está en estado «{state}»",
  "the review of task {task_id} has {most_pending} comments; submit it first":
    "la revisión de la tarea {task_id} tiene {most_pending} comentarios; enviarla antes",
  "Required, as the reason of a rejection": "Obligatorio, como motivo del rechazo",
  "task {id} is at {head_sha} now; review that commit": "la tarea {id} está ahora en {head_sha}; revisar ese commit",
  "Required, as there are no comments on lines": "Obligatorio, porque no hay comentarios en líneas",
  "Must not be after line": "No debe ir después de line",
  "task {id} is {state}; it can't be set to {wanted}":
    "la tarea {id} está en estado «{state}»; no se puede pasar a «{wanted}»",
  "task {id} is {state}; only ready_to_test can be approved":
    "la tarea {id} está en estado «{state}»; solo se puede aprobar si está lista para probar",
  "task {id} is {state}; only ready_to_test can be rejected":
    "la tarea {id} está en estado «{state}»; solo se puede rechazar si está lista para probar",
  "task {id} is {state} and in group {id2}, which is {state2}":
    "la tarea {id} está en estado «{state}» y en el grupo {id2}, que está en estado «{state2}»",
  "task {id} is {state}; it can't be cancelled": "la tarea {id} está en estado «{state}»; no se puede cancelar",
  "cancelled by {actor}": "la canceló {actor}",
  "task {id} is {state}; only failed can be retried":
    "la tarea {id} está en estado «{state}»; solo se puede volver a intentar si ha fallado",
  "Must have at most {most_dependencies} entries": "Debe tener {most_dependencies} entradas como máximo",
  "The task {one} waits for this one, so neither would ever start":
    "La tarea {one} espera a esta, así que ninguna empezaría nunca",
  "task {id} is {state}: what it depends on does not change any more":
    "la tarea {id} está en estado «{state}»: de qué depende ya no cambia",
  "The task {task_id} is cancelled, so this one would never start":
    "La tarea {task_id} está cancelada, así que esta nunca empezaría",
  "no file was found": "no se encontró ningún archivo",
  "there is none of this runtime": "no hay ninguno de este entorno de ejecución",
  "The tests have not begun: {reason}": "Las pruebas no han empezado: {reason}",
  "the proof of its commit has ended": "la verificación de su commit ha terminado",
  "{message} This is no fault of the task. How should it continue?":
    "{message} No es culpa de la tarea. ¿Cómo debería continuar?",
  "The work was refused {refusals} times, the last time because: {reason}. How should it continue?":
    "El trabajo se rechazó {refusals} veces, la última porque: {reason}. ¿Cómo debería continuar?",
  "The platform could not verify the work: {reason} Answer this to try again.":
    "La plataforma no pudo verificar el trabajo: {reason} Responder a esto para volver a intentarlo.",
  "the branch {branch_name} is at {head} now, but {proven} was proven":
    "la rama {branch_name} está ahora en {head}, pero se verificó {proven}",
  "moved: {text}: the commits since then have to be verified too.":
    "ha cambiado: {text}: también hay que verificar los commits desde entonces.",
  "its pull request was closed": "se cerró su pull request",
  "a review of its pull request asks for changes": "una revisión de su pull request pide cambios",
  "Taken out: {why}.": "Sacada: {why}.",
  "{later} was pushed to {branch_name} too late and is left out: the group continues with the approved":
    "{later} se envió demasiado tarde a {branch_name} y queda fuera: el grupo continúa con lo aprobado",
  "a person at the forge": "una persona en el forge",
  "it is too large to be handed over": "es demasiado grande para entregarlo",
  "the pod handed none over": "el pod no entregó ninguno",
  "what the pod handed over is cut or broken": "lo que entregó el pod está cortado o dañado",
  "Contexts that start with {own_contexts} are the platform's own":
    "Los contextos que empiezan por {own_contexts} son de la propia plataforma",
  "it is not {what}": "no es {what}",
  "{value} is not a number from {least} to {most}": "{value} no es un número de {least} a {most}",
  "a name (RFC 1123 label)": "un nombre (etiqueta RFC 1123)",
  "a full commit SHA": "un SHA de commit completo",
  "text without NUL": "un texto sin NUL",
  "a path that starts with / and has no spaces": "una ruta que empieza por / y no tiene espacios",
  "an absolute path or an http, https or file address": "una ruta absoluta o una dirección http, https o file",
  "a quantity such as 512Mi": "una cantidad como 512Mi",
  "Must be a folder relative to the repository, of at most {longest_cache_path} characters":
    "Debe ser una carpeta relativa al repositorio, de {longest_cache_path} caracteres como máximo",
  "Must not contain the parts . or ..": "No debe contener las partes . o ..",
  "Must not be in .git": "No debe estar en .git",
  "Must be a version such as 16 or 10.11": "Debe ser una versión como 16 o 10.11",
  "a folder in the clone": "una carpeta del clon",
  "a version such as 16 or 10.11": "una versión como 16 o 10.11",
  "Must be a path or pattern inside the repository": "Debe ser una ruta o un patrón dentro del repositorio",
  "Unknown field": "Campo desconocido",
  "Required, as a file": "Obligatorio, como archivo",
  "Given more than once": "Se dio más de una vez",
  "Must be above 0, and at most {most}": "Debe ser mayor que 0, y {most} como máximo",
  "Not a commit's 40 digits": "No son los 40 dígitos de un commit",
  "There is no such file at this commit": "No existe ese archivo en este commit",
  "Is not a text file": "No es un archivo de texto",
  "Is not a commit of the task's branch or before it": "No es un commit de la rama de la tarea ni anterior",
  "Has more than {most_file_bytes} bytes": "Tiene más de {most_file_bytes} bytes",
  "There is no such commit": "No existe ese commit",
  "Every repository of the platform's own forge belongs to a project: import from an address, or push a folder.":
    "Todo repositorio del forge de la propia plataforma pertenece a un proyecto: importar desde una dirección, o " +
    "enviar una carpeta.",
  "Must be visible ASCII without spaces": "Debe ser ASCII visible sin espacios",
  "At most {most_models} models": "Como máximo {most_models} modelos",
  "Not a model's name": "No es el nombre de un modelo",
  "Needs agentReview, which says the driver that reviews": "Necesita agentReview, que dice el driver que revisa",
  "Needs remindMinutes": "Necesita remindMinutes",
  "Needs deadlineMinutes": "Necesita deadlineMinutes",
  "Must be less than deadlineMinutes": "Debe ser menor que deadlineMinutes",
  "{twice} is given twice; a kind may be given once": "{twice} se da dos veces; cada tipo se puede dar una vez",
  "{twice} is given twice": "{twice} se da dos veces",
  "{inner} is given twice, or lies in another of the folders":
    "{inner} se da dos veces, o está dentro de otra de las carpetas",
  "Not an image's name": "No es el nombre de una imagen",
  "Must be a path that starts with /, of at most 500 characters":
    "Debe ser una ruta que empieza por /, de 500 caracteres como máximo",
  "Must be left out, or agree with agentReview": "Debe omitirse, o coincidir con agentReview",
  "Must be left out, or agree with testsLost": "Debe omitirse, o coincidir con testsLost",
  "Only an administrator may import from the platform's own forge server":
    "Solo un administrador puede importar del servidor forge de la propia plataforma",
  "Must be some of: {kinds}; joined by commas": "Debe ser alguno de: {kinds}; separados por comas",
  "Must be a day such as 2026-01-31, or a time in ISO 8601 with a zone":
    "Debe ser un día como 2026-01-31, o una hora ISO 8601 con zona",
  "Must have 1 to {most_tasks} tasks": "Debe tener de 1 a {most_tasks} tareas",
  "Must have 1 to {most_accepted} names": "Debe tener de 1 a {most_accepted} nombres",
  "Must be a list of task ids": "Debe ser una lista de ids de tareas",
  "At most {most}": "Como máximo {most}",
  "At most {most_comments}": "Como máximo {most_comments}",
  "The signature was not made with this instance's secret": "La firma no se hizo con el secreto de esta instancia",
  "The provider lists no model: name one in `models`": "El proveedor no lista ningún modelo: nombrar uno en `models`",
  "It did not answer within {test_seconds} s": "No respondió en {test_seconds} s",
  "Its answer broke off ({name})": "Su respuesta se cortó ({name})",
  "no reason given": "sin motivo indicado",
  "It answered {status_code}: {said}": "Respondió {status_code}: {said}",
  "It answered with something else than the API's JSON: check its baseUrl and api":
    "Respondió algo distinto del JSON de la API: comprobar baseUrl y api",
  "too long": "demasiado largo",
  "the answer named no usage, so its tokens are estimated from its size":
    "la respuesta no indicó ningún uso, así que sus tokens se estiman por su tamaño",
  "The usage limit of the model provider is reached until {at}, when this task goes on by itself":
    "Se ha alcanzado el límite de uso del proveedor de modelos hasta {at}, cuando esta tarea continuará sola",
  "The model provider {name} did not answer in time": "El proveedor de modelos {name} no respondió a tiempo",
  "The model provider {name} can't be reached: {words}": "No se puede conectar con el proveedor {name}: {words}",
  "The model provider {name} can't be reached ({kind}); check its baseUrl":
    "No se puede conectar con el proveedor de modelos {name} ({kind}); comprobar su baseUrl",
  "The model provider {name} answered {status_code}, without content; check its baseUrl":
    "El proveedor de modelos {name} ha respondido {status_code}, sin contenido; comprobar su baseUrl",
  "The model provider {name} redirects to another address; set its baseUrl to that one":
    "El proveedor de modelos {name} redirige a otra dirección; poner esa en su baseUrl",
  "Not a cursor of this list": "No es un cursor de esta lista",
  "Must have 1 to {longest_key} printable characters": "Debe tener de 1 a {longest_key} caracteres imprimibles",
  "Validation error": "Error de validación",
  "Resource not found": "No existe",
  "Method not allowed": "Método no permitido",
  "Request body too large": "El cuerpo de la petición es demasiado grande",
  "Unsupported media type": "Tipo de contenido no admitido",
  "Misdirected request": "Petición mal dirigida",
  "Idempotency-Key was used with another request": "La Idempotency-Key se usó con otra petición",
  "Too many requests": "Demasiadas peticiones",
  "Internal server error": "Error interno del servidor",
  "Service unavailable": "Servicio no disponible",
  "{host} is not a host of this instance; if it is, name it in AIWORKER_ALLOWED_HOSTS":
    "{host} no es un host de esta instancia; si lo es, nombrarlo en AIWORKER_ALLOWED_HOSTS",
  "Request refused": "Petición rechazada",
  "The request could not be read": "No se pudo leer la petición",
  "Read-only field": "Campo de solo lectura",
  "Must not be blank": "No debe estar en blanco",
  "Must be an object": "Debe ser un objeto",
  "Must be a list": "Debe ser una lista",
  "Must not be null": "No debe ser null",
  "Must be a whole number": "Debe ser un número entero",
  "Must be a number": "Debe ser un número",
  "Must be true or false": "Debe ser true o false",
  "Must be one of: {words}": "Debe ser uno de: {words}",
  "Must be one of: {labels}": "Debe ser uno de: {labels}",
  "Not an id": "No es un id",
  "Not an agent's id": "No es el id de un agente",
  "Not a question's id": "No es el id de una pregunta",
  "Must be a time in ISO 8601 with a zone": "Debe ser una hora ISO 8601 con zona",
  "Must be a text such as 500m or 1Gi": "Debe ser un texto como 500m o 1Gi",
  "Must be an object of texts": "Debe ser un objeto de textos",
  "At most {most} {what}": "Como máximo {most} {what}",
  ": to a cluster, 0 is no limit at all; for the platform's own limit, leave it out":
    ": para un clúster, 0 es no tener límite; para el límite de la plataforma, omitirlo",
  "Not a CPU quantity such as 500m or 2": "No es una cantidad de CPU como 500m o 2",
  "Must be from 10m to 256{no_limit}": "Debe ser de 10m a 256{no_limit}",
  "Must be from 10m to 256": "Debe ser de 10m a 256",
  "Not a memory quantity such as 512Mi or 1Gi": "No es una cantidad de memoria como 512Mi o 1Gi",
  "Must be from 8Mi to 4Ti{no_limit}": "Debe ser de 8Mi a 4Ti{no_limit}",
  "Must be from 8Mi to 4Ti": "Debe ser de 8Mi a 4Ti",
  "Must not contain control, bidirectional or invisible characters":
    "No debe contener caracteres de control, bidireccionales o invisibles",
  "Must not contain control characters": "No debe contener caracteres de control",
  "Must have {least} to {most} characters": "Debe tener de {least} a {most} caracteres",
  "Must have at most {most} characters": "Debe tener {most} caracteres como máximo",
  "Must be at least {least}": "Debe ser {least} como mínimo",
  "Must be at most {most}": "Debe ser {most} como máximo",
  "Must be from {least} to {most}": "Debe ser de {least} a {most}",
  "Not valid JSON: {msg} at line {lineno}, column {colno}":
    "JSON no válido: {msg} en la línea {lineno}, columna {colno}",
  "Must be a JSON object": "Debe ser un objeto JSON",
  "Must not contain half of a surrogate pair": "No debe contener medio par sustituto",
  "Must not begin with a byte order mark": "No debe empezar con una marca de orden de bytes",
  "Not valid UTF-8 at byte {start}": "UTF-8 no válido en el byte {start}",
  "Nested deeper than {deepest} levels": "Anidado a más de {deepest} niveles",
  "Duplicate key": "Clave duplicada",
  "Holds a number beyond {largest}": "Contiene un número mayor que {largest}",
  "Holds a number beyond what a 64-bit float can hold":
    "Contiene un número mayor que el que cabe en un float de 64 bits",
  "{name} is not JSON": "{name} no es JSON",
  ["there is nothing to run: set a start command, or add a Procfile with a web: line or an index.html to the " +
  "root of the repository"]:
    "no hay nada que ejecutar: poner un comando de inicio, o añadir a la raíz del repositorio un Procfile con una " +
    "línea web: o un index.html",
  "git exited with {exit_code}": "git terminó con {exit_code}",
  "it took longer than its time limit": "tardó más que su tiempo límite",
  "there is no room on this machine: {error}": "no hay espacio en esta máquina: {error}",
  "agents in pods are switched off (AIWORKER_AGENTS_MAX)":
    "los agentes en pods están desactivados (AIWORKER_AGENTS_MAX)",
  "its pod failed": "su pod falló",
  "the version that served before is started again": "se vuelve a iniciar la versión que servía antes",
  "its pod is gone": "su pod ha desaparecido",
  "the default branch {wanted} does not exist any more; {remedy}":
    "la rama por defecto {wanted} ya no existe; {remedy}",
  "make a branch {wanted} at the commit to build on": "crear una rama {wanted} en el commit del que partir",
  "the forge's default branch is {shown} now: rename {shown2} back to {wanted} there, or {remedy}":
    "la rama por defecto del forge es ahora {shown}: devolver allí a {shown2} el nombre {wanted}, o {remedy}",
  "merging {title}": "fusionando {title}",
  "testing the merged branch": "probando la rama fusionada",
  "testing the default branch": "probando la rama por defecto",
  "waiting for the repository's own CI": "esperando a la CI del propio repositorio",
  "delivered, but {refused}; then retry the job group.finish of this group":
    "entregado, pero {refused}; después hay que volver a intentar el trabajo group.finish de este grupo",
  "pull request #{number} could not be closed as merged: {message}":
    "no se pudo cerrar como fusionada la pull request #{number}: {message}",
  "the release is not tagged: {message}; delete that tag or branch":
    "la versión no tiene etiqueta: {message}; eliminar esa etiqueta o rama",
  "this release is tagged {spare_tag}, because {message}":
    "esta versión lleva la etiqueta {spare_tag}, porque {message}",
  "the default branch {default_branch} moved in the meantime":
    "mientras tanto cambió la rama por defecto {default_branch}",
  "it did not become healthy": "no llegó a estar sana",
  "healthy for {checked_seconds} of {seconds} s": "sana durante {checked_seconds} de {seconds} s",
  "it keeps crashing": "no deja de fallar",
  "it is being restarted": "se está reiniciando",
  "Lock file that can't be read": "Archivo de bloqueo que no se puede leer",
  "dependency with a known fault": "dependencia con un fallo conocido",
  "dependencies with a known fault": "dependencias con un fallo conocido",
  "Take other versions. A maintainer can let a finding go.":
    "Usar otras versiones. Un mantenedor puede dejar ir un hallazgo.",
  "The operator of this platform provides no advisories.": "Quien opera esta plataforma no proporciona avisos.",
  "No lock file was changed.": "No se cambió ningún archivo de bloqueo.",
  "Not looked at: {error}.": "Sin mirar: {error}.",
  "Lock files changed: {count}.": "Archivos de bloqueo cambiados: {count}.",
  "New versions compared with the advisories: {count}.": "Versiones nuevas comparadas con los avisos: {count}.",
  "Not read, as of another format: {unknown}.": "Sin leer, por ser de otro formato: {unknown}.",
  "does not run": "no se ejecuta",
  "in a file that is too long to be read": "en un archivo demasiado largo para leerlo",
  "in a file that the Python of AiWorker can't read": "en un archivo que el Python de AiWorker no puede leer",
  "Too many files of tests changed to run them without the change.":
    "Cambiaron demasiados archivos de pruebas para ejecutarlos sin el cambio.",
  "The new tests run once more without the change.": "Las pruebas nuevas se ejecutan una vez más sin el cambio.",
  "Too many files of tests changed to run them as they were.":
    "Cambiaron demasiados archivos de pruebas para ejecutarlos como eran.",
  "The changed files of tests run once more as they were.":
    "Los archivos de pruebas cambiados se ejecutan una vez más como eran.",
  "The changed files of tests give no report as they were, so what they guarded is not known to hold.":
    "Los archivos de pruebas cambiados no dan ningún informe como eran, así que no se sabe si se cumple lo que " +
    "guardaban.",
  "One test of the changed files passes as it was, too.": "Una prueba de los archivos cambiados también pasa como era.",
  "{count} tests of the changed files pass as they were, too.":
    "{count} pruebas de los archivos cambiados también pasan como eran.",
  "One test passes only because it was changed; as it was, it does not: {named}.":
    "Una prueba solo pasa porque se cambió; como era, no pasa: {named}.",
  "{count} tests pass only because they were changed; as they were, they do not: {named}.":
    "{count} pruebas solo pasan porque se cambiaron; como eran, no pasan: {named}.",
  "{message} One did not run as it was.": "{message} Una no se ejecutó como era.",
  "{message} {unable} did not run as they were.": "{message} {unable} no se ejecutaron como eran.",
  "One test does not run as it was, so what it guarded is not known to hold: {named}.":
    "Una prueba no se ejecuta como era, así que no se sabe si se cumple lo que guardaba: {named}.",
  "{count} tests do not run as they were, so what they guarded is not known to hold: {named}.":
    "{count} pruebas no se ejecutan como eran, así que no se sabe si se cumple lo que guardaban: {named}.",
  "One new or changed test passes without the change, so it proves nothing: {named}.":
    "Una prueba nueva o cambiada pasa sin el cambio, así que no demuestra nada: {named}.",
  "{count} new or changed tests pass without the change, so they prove nothing: {named}.":
    "{count} pruebas nuevas o cambiadas pasan sin el cambio, así que no demuestran nada: {named}.",
  "One test is new or changed; it fails without the change.": "Una prueba es nueva o ha cambiado; falla sin el cambio.",
  "One test is new or changed; it can't run without the change.":
    "Una prueba es nueva o ha cambiado; no puede ejecutarse sin el cambio.",
  "one fails without the change": "una falla sin el cambio",
  "{failed} fail without the change": "{failed} fallan sin el cambio",
  "one can't run without the change": "una no puede ejecutarse sin el cambio",
  "{unable} can't run without the change": "{unable} no pueden ejecutarse sin el cambio",
  "{count} tests are new or changed; {parts}.": "{count} pruebas son nuevas o han cambiado; {parts}.",
  "another picture is being taken": "se está tomando otra imagen",
  ["the HEAD of the imported repository is {named}, a name for the platform's own branches: name another of its " +
  "branches as the default branch"]:
    "el HEAD del repositorio importado es {named}, un nombre de las ramas propias de la plataforma: indicar otra " +
    "de sus ramas como rama por defecto",
  ["The repository has too many files to find those that define how the tests run: a maintainer can empty " +
  "testSetup in the project's settings."]:
    "El repositorio tiene demasiados archivos para encontrar los que definen cómo se ejecutan las pruebas: quien " +
    "lo mantiene puede vaciar testSetup en los ajustes del proyecto.",
  "{below} has more files than can be listed": "{below} tiene más archivos de los que se pueden listar",
  "importing the repository": "importando el repositorio",
  "creating the repository": "creando el repositorio",
  "creating the environment": "creando el entorno",
  "the comments on pull request #{number} are too many to be read, so new ones are not passed on":
    "los comentarios del pull request #{number} son demasiados para leerlos, así que los nuevos no se transmiten",
  "removing apps and checks": "quitando aplicaciones y comprobaciones",
  "removing the repository": "quitando el repositorio",
  "The commit has no history in common with {branch}: do the work on a branch that starts at {branch2}.":
    "El commit no tiene historia en común con {branch}: hacer el trabajo en una rama que empiece en {branch2}.",
  ["It was made from several commits of {branch}, so what it changes can't be compared with one of them: merge " +
  "{branch2} into the branch."]:
    "Se hizo a partir de varios commits de {branch}, así que lo que cambia no se puede comparar con uno solo: " +
    "fusionar {branch2} en la rama.",
  "{reason}: make the commit smaller.": "{reason}: hacer el commit más pequeño.",
  "The agent reported no commit: commit the work.":
    "El agente no informó de ningún commit: hay que hacer commit del trabajo.",
  "{claimed} is the head of {branch}.": "{claimed} es la cabeza de {branch}.",
  "{claimed} was reported, but {branch} is at {head}: report the newest commit.":
    "Se informó de {claimed}, pero {branch} está en {head}: informar del commit más nuevo.",
  "{claimed} was reported, but it is not on {branch} at the forge: push it.":
    "Se informó de {claimed}, pero no está en {branch} en el forge: hay que enviarlo.",
  "The commit changes nothing.": "El commit no cambia nada.",
  ["It has links to other repositories instead of files at {unnamed_submodules}, which .gitmodules does not " +
  "name: add the files, or remove the links."]:
    "Tiene enlaces a otros repositorios en vez de archivos en {unnamed_submodules}, que .gitmodules no nombra: " +
    "añadir los archivos o quitar los enlaces.",
  "One file changed.": "Un archivo cambiado.",
  "{count} files changed.": "{count} archivos cambiados.",
  "It conflicts with {branch} in {files}: merge {branch2} into the branch.":
    "Entra en conflicto con {branch} en {files}: fusionar {branch2} en la rama.",
  "A merge in it takes back what {branch} changed: {taken_back}: take these from {branch2} again.":
    "Una fusión suya deshace lo que cambió {branch}: {taken_back}: volver a tomarlo de {branch2}.",
  "It merges with {branch}, but not with {rival}, which is being delivered first: it waits.":
    "Se fusiona con {branch}, pero no con {rival}, que se está entregando antes: espera.",
  "It merges cleanly into {branch}.": "Se fusiona sin conflictos con {branch}.",
  "No forbidden path is touched.": "No toca ninguna ruta prohibida.",
  "It changes paths that the project forbids: {hits}: undo these changes.":
    "Cambia rutas que el proyecto prohíbe: {hits}: deshacer esos cambios.",
  "The project allows deleting tests.": "El proyecto permite eliminar pruebas.",
  "It deletes tests: {gone}: restore them.": "Elimina pruebas: {gone}: restaurarlas.",
  "{unreadable} is too large to count its tests: undo the changes to it.":
    "{unreadable} es demasiado grande para contar sus pruebas: deshacer sus cambios.",
  "It deletes one test more than it adds: restore it.": "Elimina una prueba más de las que añade: restaurarla.",
  "It deletes {lost} tests more than it adds: restore them.":
    "Elimina {lost} pruebas más de las que añade: restaurarlas.",
  "No test was deleted.": "No se eliminó ninguna prueba.",
  "{message} Push another commit.": "{message} Enviar otro commit.",
  "The statuses of the commit can't be read: {message}.": "No se pueden leer los estados del commit: {message}.",
  "The repository's own CI does not pass on this commit: {named}.":
    "La CI del propio repositorio no pasa en este commit: {named}.",
  "The repository's own CI passes: one required status.": "La CI del propio repositorio pasa: un estado exigido.",
  "The repository's own CI passes: {count} required statuses.":
    "La CI del propio repositorio pasa: {count} estados exigidos.",
  "The repository's own CI is awaited: {parts}.": "Se espera a la CI del propio repositorio: {parts}.",
  "The repository's own CI did not end within one minute: {awaited}.":
    "La CI del propio repositorio no terminó en un minuto: {awaited}.",
  "The repository's own CI did not end within {minutes} minutes: {awaited}.":
    "La CI del propio repositorio no terminó en {minutes} minutos: {awaited}.",
  "exit code only": "solo el código de salida",
  "The tests are running.": "Las pruebas se están ejecutando.",
  "The tests of the commit below run, to compare which of them ran.":
    "Se ejecutan las pruebas del commit base, para comparar cuáles se ejecutaron.",
  "{count} new, none lost{rest}.": "{count} nuevas, ninguna perdida{rest}.",
  " The tests gave no report: {problem}.": " Las pruebas no dieron informe: {problem}.",
  "One test of the commit below does not run any more or shows nothing{rest}: {named}.{why}":
    "Una prueba del commit base ya no se ejecuta o no muestra nada{rest}: {named}.{why}",
  "{count} tests of the commit below do not run any more or show nothing{rest}: {named}.{why}":
    "{count} pruebas del commit base ya no se ejecutan o no muestran nada{rest}: {named}.{why}",
  "{message} Restore the test.": "{message} Restaurar la prueba.",
  "{message} Restore them.": "{message} Restaurarlas.",
  "The tests pass ({exit_code_only}{why}).": "Las pruebas pasan ({exit_code_only}{why}).",
  ", {skipped} skipped": ", {skipped} omitidas",
  "The tests pass: {ran} ran{skipped}.": "Las pruebas pasan: se ejecutaron {ran}{skipped}.",
  "It changes how the tests run, as it may: {named}.": "Cambia cómo se ejecutan las pruebas, y puede hacerlo: {named}.",
  "It changes how the tests run: {named}. They were run as {below} defines them, without that.":
    "Cambia cómo se ejecutan las pruebas: {named}. Se ejecutaron como las define {below}, sin eso.",
  "It changes how the tests run in more files, or longer ones, than can be taken back: {named}: undo these changes.":
    "Cambia cómo se ejecutan las pruebas en más archivos, o más largos, de los que se pueden deshacer: {named}: " +
    "deshacer estos cambios.",
  "The changed files of tests are too large together to compare them: make the commit smaller.":
    "Los archivos de pruebas cambiados son, juntos, demasiado grandes para compararlos: hacer el commit más pequeño.",
  "The tests of the commit below gave no report, so which of them ran is not known.":
    "Las pruebas del commit base no dieron informe, así que no se sabe cuáles se ejecutaron.",
  "files of the commit do not fit those that it is tested with":
    "hay archivos del commit que no encajan con aquellos con los que se prueba",
  "Some tests fail: they are run again, to tell a flaky one from a broken one.":
    "Algunas pruebas fallan: se ejecutan otra vez, para distinguir una inestable de una rota.",
  "The tests can't begin: {reason}.": "Las pruebas no pueden empezar: {reason}.",
  "The tests fail: those of the commit below run, to see whether they fail there too.":
    "Las pruebas fallan: se ejecutan las del commit base, para ver si allí también fallan.",
  "The tests fail: {reason}.": "Las pruebas fallan: {reason}.",
  "One test fails, and it fails on the commit below too, in {branch}: {named}.":
    "Una prueba falla, y falla también en el commit base, en {branch}: {named}.",
  "{count} tests fail, and they fail on the commit below too, in {branch}: {named}.":
    "{count} pruebas fallan, y fallan también en el commit base, en {branch}: {named}.",
  " One other fails on the commit below too.": " Otra falla también en el commit base.",
  " {others} others fail on the commit below too.": " Otras {others} fallan también en el commit base.",
  "The tests fail: {fresh}.{rest}": "Las pruebas fallan: {fresh}.{rest}",
  " The report says so, and the command hides it (exit status 0).":
    " Lo dice el informe, y el comando lo oculta (código de salida 0).",
  "it exited with 0, but its report says that one test failed":
    "terminó con 0, pero su informe dice que una prueba falló",
  "it exited with 0, but its report says that {count} tests failed":
    "terminó con 0, pero su informe dice que {count} pruebas fallaron",
  "The tests fail in {runs} of {runs2} runs: {fresh}.{rest}":
    "Las pruebas fallan en {runs} de {runs2} ejecuciones: {fresh}.{rest}",
  "the files can't be read: {strerror}": "no se pueden leer los archivos: {strerror}",
  "Some tests are flaky: those of the commit below run, to see whether they are new.":
    "Algunas pruebas son inestables: se ejecutan las del commit base, para ver si son nuevas.",
  "New or changed tests are red and green on this one commit: {own}. Make them reliable.":
    "Pruebas nuevas o cambiadas están en rojo y en verde en este mismo commit: {own}. Hay que hacerlas fiables.",
  "One test is flaky, red and green on this one commit: {named}.":
    "Una prueba es inestable, en rojo y en verde en este mismo commit: {named}.",
  "{count} tests are flaky, red and green on this one commit: {named}.":
    "{count} pruebas son inestables, en rojo y en verde en este mismo commit: {named}.",
  "The tests pass but for {count} in quarantine: {names}.": "Las pruebas pasan salvo {count} en cuarentena: {names}.",
  "Tests in quarantine fail: the others run once more without them.":
    "Fallan pruebas en cuarentena: las demás se ejecutan otra vez sin ellas.",
  ["Only tests in quarantine fail, but they can't be left out and failed {times} times in a row, so nothing " +
  "tells whether others would fail: {names}."]:
    "Solo fallan pruebas en cuarentena, pero no se pueden omitir y fallaron {times} veces seguidas, así que nada " +
    "dice si fallarían otras: {names}.",
  " Those in quarantine were left out.": " Se omitieron las que están en cuarentena.",
  " They were run without its changes to how tests run.":
    " Se ejecutaron sin sus cambios en cómo se ejecutan las pruebas.",
  ["The tests fail, as they do without this work, in {branch}: {reason}. Nothing names the tests that fail, so " +
  "nothing can be said of the work until {branch2} is mended and merged into the branch."]:
    "Las pruebas fallan, como lo hacen sin este trabajo, en {branch}: {reason}. Nada nombra las pruebas que " +
    "fallan, así que no se puede decir nada del trabajo hasta que {branch2} esté arreglada y fusionada en la rama.",
  "{path} can't be understood: {error}": "no se puede entender {path}: {error}",
  "the version declares that its data changes can't be undone":
    "la versión declara que sus cambios de datos no se pueden deshacer",
  "{let_go} let go by a person.": "Una persona dejó ir {let_go}.",
  "No {what} was found.": "Nada encontrado ({what}).",
  "File too large to search": "Archivo demasiado grande para buscar en él",
  ["Take them out, also of the branch's earlier commits, and read them from the environment. A maintainer can " +
  "let go what is none."]:
    "Sacarlos, también de los commits anteriores de la rama, y leerlos del entorno. Un mantenedor puede dejar ir " +
    "lo que no lo sea.",
  "One file was searched.": "Se buscó en un archivo.",
  "{count} files were searched.": "Se buscó en {count} archivos.",
  "Not searched, as not text: {binary}.": "Sin buscar, por no ser texto: {binary}.",
  "Value of the secret variable {name}": "Valor de la variable secreta {name}",
  "Basic Auth Credentials": "Credenciales Basic Auth",
  "Artifactory Credentials": "Credenciales de Artifactory",
  "AWS Access Key": "Clave de acceso de AWS",
  "JSON Web Token": "JSON Web Token",
  "Random Value of a Secret Name": "Valor aleatorio con nombre de secreto",
  "Private Key": "Clave privada",
  "{names} and {more} more": "{names} y {more} más",
  "The coverage report was not used: {problem}.": "No se usó el informe de cobertura: {problem}.",
  "Too many files changed to compare them with the coverage report.":
    "Cambiaron demasiados archivos para compararlos con el informe de cobertura.",
  "The changed files are too large to compare them with the coverage report.":
    "Los archivos cambiados son demasiado grandes para compararlos con el informe de cobertura.",
  " One file is too large to compare.": " Un archivo es demasiado grande para compararlo.",
  " {passed_over} files are too large to compare.": " {passed_over} archivos son demasiado grandes para compararlos.",
  "The coverage report knows none of the added lines.{rest}":
    "El informe de cobertura no conoce ninguna de las líneas añadidas.{rest}",
  "The tests touch every added line that can run: {added}.{rest}":
    "Las pruebas tocan todas las líneas añadidas que pueden ejecutarse: {added}.{rest}",
  "No test touches the one added line that can run: {named}.{rest}":
    "Ninguna prueba toca la única línea añadida que puede ejecutarse: {named}.{rest}",
  "No test touches {uncovered} of the {added} added lines that can run: {named}.{rest}":
    "Ninguna prueba toca {uncovered} de las {added} líneas añadidas que pueden ejecutarse: {named}.{rest}",
  "the reports of its tests can't be prepared: {strerror}":
    "no se pueden preparar los informes de sus pruebas: {strerror}",
  "a file can't be replaced: {strerror}": "no se puede reemplazar un archivo: {strerror}",
  "the files of {commit} can't be counted: {error}": "no se pueden contar los archivos de {commit}: {error}",
  "the old files in {code} can't be removed": "no se pueden quitar los archivos antiguos de {code}",
  "files of an earlier checkout can't be removed: {strerror}":
    "no se pueden quitar los archivos de una copia anterior: {strerror}",
  "the local runtime has an error ({name}); its log says more":
    "el entorno local tiene un error ({name}); su registro dice más",
  "git took longer than {git_seconds} s": "git tardó más de {git_seconds} s",
  "git can't be started: {strerror}": "no se puede iniciar git: {strerror}",
  "{root} belongs to another user: remove it": "{root} pertenece a otro usuario: quitarlo",
  "{root} can't be made: {strerror}": "no se puede crear {root}: {strerror}",
  "{kind} can't be started: {strerror}": "no se puede iniciar {kind}: {strerror}",
  "{kind} {status} at its start: {log}": "{kind} {status} al iniciarse: {log}",
  "the services can't be prepared: {error}": "no se pueden preparar los servicios: {error}",
  "{source} can't be copied: {error}": "no se puede copiar {source}: {error}",
  "{kind} was not ready within {start_seconds} s": "{kind} no estuvo listo en {start_seconds} s",
  "no port from {first_port} to {last_port} is free": "ningún puerto de {first_port} a {last_port} está libre",
  "{title} is not installed on this machine (on Debian: apt-get install {package})":
    "{title} no está instalado en esta máquina (en Debian: apt-get install {package})",
  "an unknown version": "una versión desconocida",
  ["{title} {wanted} is asked for, but {there} is installed on this machine: install {wanted2}, or change the " +
  "version in the project's services"]:
    "se pide {title} {wanted}, pero en esta máquina está instalado {there}: instalar {wanted2}, o cambiar la " +
    "versión en los servicios del proyecto",
  "MariaDB's mariadb-install-db is not installed (on Debian: apt-get install mariadb-server)":
    "mariadb-install-db de MariaDB no está instalado (en Debian: apt-get install mariadb-server)",
  "PostgreSQL's initdb is not in {parent}; install PostgreSQL again":
    "initdb de PostgreSQL no está en {parent}; instalar PostgreSQL de nuevo",
  "{name} took longer than {layout_seconds} s": "{name} tardó más de {layout_seconds} s",
  "{name} can't be started: {strerror}": "no se puede iniciar {name}: {strerror}",
  "{name} exited with {returncode}: {log}": "{name} terminó con {returncode}: {log}",
  "it wrote no log": "no escribió ningún registro",
  "The run is over.": "La ejecución ha terminado.",
  "The run was cancelled.": "La ejecución se canceló.",
  "there is no room on this agent's machine: {strerror}": "no hay espacio en la máquina de este agente: {strerror}",
  "the run's directory was removed from this agent's machine: {directory}":
    "el directorio de la ejecución se eliminó de la máquina de este agente: {directory}",
  "The agent's program failed: {name}: {error}": "El programa del agente falló: {name}: {error}",
  "The driver gave no reason.": "El driver no dio ningún motivo.",
  "this agent's disk is full: {reason}": "el disco de este agente está lleno: {reason}",
  "The run took longer than {minutes} minutes.": "La ejecución tardó más de {minutes} minutos.",
  "The run was stopped: it filled more than {run_bytes} of this machine's disk.":
    "La ejecución se detuvo: llenó más de {run_bytes} del disco de esta máquina.",
  "The run was stopped: it filled {size}, and this machine's disk is almost full.":
    "La ejecución se detuvo: llenó {size}, y el disco de esta máquina está casi lleno.",
  "the platform has no provider of models for {name} ({api})":
    "la plataforma no tiene un proveedor de modelos para {name} ({api})",
  "It was not looked for yet.": "Todavía no se ha buscado.",
  "It needs no program.": "No necesita ningún programa.",
  "No driver can work. {value}": "Ningún driver puede trabajar. {value}",
  "this agent can't work with {name}: {says}": "este agente no puede trabajar con {name}: {says}",
  "Its check failed: {name}: {error}": "Su comprobación falló: {name}: {error}",
  "A question is waiting for its answer.": "Una pregunta espera su respuesta.",
  "{program} failed: {said}": "{program} falló: {said}",
  "exited with {code}": "terminó con {code}",
  "The provider refused the call: {words}": "El proveedor rechazó la llamada: {words}",
  "The provider refused the key: {words}": "El proveedor rechazó la clave: {words}",
  "The provider's limit is reached: {words}": "Se ha alcanzado el límite del proveedor: {words}",
  "The provider has a fault: {words}": "El proveedor tiene un fallo: {words}",
  "{program} did not reach the provider: {words}": "{program} no pudo conectar con el proveedor: {words}",
  "Step {number}{value} of {count}": "Paso {number}{value} de {count}",
  "Waiting for an answer": "Esperando una respuesta",
  "Executed {count} steps": "{count} pasos ejecutados",
  "the platform refused the verdict: {error}": "la plataforma rechazó el veredicto: {error}",
  "the command can't be started: {error}": "no se puede iniciar el comando: {error}",
  "the command `{command}` ended with exit code {code}":
    "el comando `{command}` terminó con el código de salida {code}",
  "{path} does not contain the text to replace: {old}": "{path} no contiene el texto que reemplazar: {old}",
  "{text} is not a relative path inside the workspace": "{text} no es una ruta relativa dentro del espacio de trabajo",
  "{text} leads into git's own directory": "{text} lleva al directorio propio de git",
  "{text} can't be resolved": "no se puede resolver {text}",
  "{text} leaves the workspace": "{text} sale del espacio de trabajo",
  ["The scripted driver needs a fenced block tagged `{tag}` in the task's description, and there is none. Add " +
  "one, or give the task to another driver."]:
    "El driver scripted necesita un bloque delimitado con la etiqueta `{tag}` en la descripción de la tarea, y no " +
    "hay ninguno. Añadir uno, o dar la tarea a otro driver.",
  "The steps are not valid YAML: {error}": "Los pasos no son YAML válido: {error}",
  "The steps must be a YAML list with at least one step.": "Los pasos deben ser una lista YAML con al menos un paso.",
  "There are {count} steps; at most {most_steps} are allowed.":
    "Hay {count} pasos; se permiten {most_steps} como máximo.",
  'Step {number} must be a mapping with one key, such as `say: "Hello"`.':
    'El paso {number} debe ser un mapa con una clave, como `say: "Hello"`.',
  "Step {number}: there is no step {kind}; use one of: {parsers}.":
    "Paso {number}: no existe el paso {kind}; usar uno de: {parsers}.",
  "its value": "su valor",
  "needs a mapping with {required}": "necesita un mapa con {required}",
  "has no field {name}; its fields are: {known}": "no tiene el campo {name}; sus campos son: {known}",
  "lacks the field {name}": "le falta el campo {name}",
  "{name} must be text; put it in quotes": "{name} debe ser texto; ponerlo entre comillas",
  "{name} is empty": "{name} está vacío",
  "{name} contains a character that files and commands can't contain":
    "{name} contiene un carácter que los archivos y los comandos no pueden contener",
  "can only apply `suggestions`": "solo puede aplicar `suggestions`",
  "options must be a list of texts": "options debe ser una lista de textos",
  "comments must be a list of mappings with path, line and body":
    "comments debe ser una lista de mapas con path, line y body",
  "needs a number of seconds": "necesita un número de segundos",
  "must be from 0 to {longest_sleep_seconds} seconds": "debe ser de 0 a {longest_sleep_seconds} segundos",
  "The agent stops.": "El agente se detiene.",
  "The project's services could not be started: {error}. The tests need them.":
    "No se pudieron iniciar los servicios del proyecto: {error}. Las pruebas los necesitan.",
  "took longer than {setup_seconds} s": "tardó más de {setup_seconds} s",
  "could not be started: {strerror}": "no se pudo iniciar: {strerror}",
  "The project's setup command {how}: {command}": "El comando de preparación del proyecto {how}: {command}",
  "The end of its output:": "El final de su salida:",
  "they did not start: {lines}": "no se iniciaron: {lines}",
  "the services can't be started: {strerror}": "no se pueden iniciar los servicios: {strerror}",
  "{name} ended with exit code {code}.": "{name} terminó con el código de salida {code}.",
  "{name} ended without a word.": "{name} terminó sin decir nada.",
  "{reason} It may work again at {until}.": "{reason} Puede volver a funcionar a las {until}.",
  "{name} was removed from this machine: {executable} is gone.":
    "{name} se quitó de esta máquina: {executable} ya no está.",
  "{seconds} minutes": "{seconds} minutos",
  "{seconds} seconds": "{seconds} segundos",
  "{name} said nothing for {spoken} and was stopped.": "{name} no dijo nada durante {spoken} y se detuvo.",
  "git in the clone did not answer": "git no respondió en el clon",
  "git {name} took longer than {seconds} s": "git {name} tardó más de {seconds} s",
  "git {name} exceeded its resource limits: {output}": "git {name} superó sus límites de recursos: {output}",
  "git {name} failed with exit code {code}: {output}": "git {name} falló con el código de salida {code}: {output}",
  "{ref} can't be checked out: {error}": "no se puede extraer {ref}: {error}",
  "the files of {ref} can't be counted: {error}": "no se pueden contar los archivos de {ref}: {error}",
  "somebody else pushed to {branch}, and their commits conflict with those of this run":
    "alguien más envió a {branch}, y sus commits entran en conflicto con los de esta ejecución",
  "{branch} was moved twice while this run pushed it":
    "{branch} se movió dos veces mientras esta ejecución enviaba a ella",
  "git in the clone wrote no bundle": "git no escribió ningún paquete en el clon",
  "git in the clone did not name an object": "git no nombró ningún objeto en el clon",
  "The browser could not be confined: {error}.": "No se pudo confinar el navegador: {error}.",
  "The browser can't be confined on this machine.": "No se puede confinar el navegador en esta máquina.",
  "{url} is not an http or https address.": "{url} no es una dirección http o https.",
  "The browser did not start within {start_seconds} s.": "El navegador no arrancó en {start_seconds} s.",
  "The page was not drawn within {most_seconds} s.": "La página no se dibujó en {most_seconds} s.",
  "The browser can't be started: {strerror}.": "No se puede iniciar el navegador: {strerror}.",
  "The browser could not be confined: {failure}.": "No se pudo confinar el navegador: {failure}.",
  "The browser {status}.": "El navegador {status}.",
  "The page needs too much ({broken_bound}).": "La página necesita demasiado ({broken_bound}).",
  "The browser said what no browser says.": "El navegador dijo lo que ningún navegador dice.",
  "The page can't be shown: {reason}.": "No se puede mostrar la página: {reason}.",
  "The page leads to {unreachable}, which is out of its reach.":
    "La página lleva a {unreachable}, que está fuera de su alcance.",
  "The picture is larger than {most_bytes} MiB.": "La imagen es mayor que {most_bytes} MiB.",
  "The browser gave something else than a picture of {width}×{height}.":
    "El navegador dio algo distinto de una imagen de {width}×{height}.",
  "{namespace}/{name} can't listen on {host}: {error}": "{namespace}/{name} no puede escuchar en {host}: {error}",
  "{namespace}/{name} can't be stored: {strerror}": "{namespace}/{name} no se puede guardar: {strerror}",
  "version {by} replaced this one before it was live":
    "la versión {by} reemplazó a esta antes de que estuviera en marcha",
  "commit {commit} is not in the repository ({failure})": "el commit {commit} no está en el repositorio ({failure})",
  "the checkout of {commit} failed: {error}": "no se pudo extraer {commit}: {error}",
  "it can't be started: {error}": "no se puede iniciar: {error}",
  "it can't be watched: {error}": "no se puede vigilar: {error}",
  "was killed by": "fue terminado por",
  "took longer than": "tardó más de",
  "there are more than {most_reports} files": "hay más de {most_reports} archivos",
  "it names too many files or lines": "nombra demasiados archivos o líneas",
  "{shown} is no LCOV": "{shown} no es LCOV",
  "{shown} has entities": "{shown} tiene entidades",
  "{shown} is no valid XML": "{shown} no es XML válido",
  "{shown} is nested too deeply or has too many elements":
    "{shown} está demasiado anidado o tiene demasiados elementos",
  "{shown} is no Cobertura XML": "{shown} no es XML de Cobertura",
  "{shown} has {text} where a number belongs": "{shown} tiene {text} donde va un número",
  "its sandbox can't be made: {sandbox_failure}": "no se puede crear su sandbox: {sandbox_failure}",
  "it used more memory than its sandbox may have": "usó más memoria de la que puede tener su sandbox",
  "used {used} MiB of memory, its limit is {most} MiB": "usó {used} MiB de memoria; su límite es {most} MiB",
  "filled {used} MiB of disk, its limit is {disk_bytes} MiB":
    "llenó {used} MiB de disco; su límite es {disk_bytes} MiB",
  "filled {used} MiB of disk, which is almost full": "llenó {used} MiB del disco, que está casi lleno",
  "gave no answer to GET {path} within {timeout_seconds} s": "no respondió a GET {path} en {timeout_seconds} s",
  "did not listen on port {port} (PORT)": "no escuchó en el puerto {port} (PORT)",
  "gave no valid answer to GET {path} ({error})": "no dio una respuesta válida a GET {path} ({error})",
  "answered GET {path}": "respondió a GET {path}",
  "{description} with {status}, which leads to another host ({netloc})":
    "{description} con {status}, que lleva a otro host ({netloc})",
  "answered GET {path}, which led to {path2},": "respondió a GET {path}, que llevó a {path2},",
  "answered GET {path} with more than {most_redirects} redirects":
    "respondió a GET {path} con más de {most_redirects} redirecciones",
  "{description} and without the text {contains}": "{description} y sin el texto {contains}",
  "versions of {count} projects fail together, so this machine is at fault":
    "versiones de {count} proyectos fallan a la vez, así que la culpa es de esta máquina",
  "{shown} is part of the commit": "{shown} es parte del commit",
  "{shown} is older than the run": "{shown} es anterior a la ejecución",
  "there are more than {most_files} files": "hay más de {most_files} archivos",
  "{shown} has a document type or entities": "{shown} tiene un tipo de documento o entidades",
  "{shown} is no JUnit XML": "{shown} no es XML de JUnit",
  "a file is nested too deeply or has too many elements":
    "un archivo está demasiado anidado o tiene demasiados elementos",
  "there are more than {most_tests} tests": "hay más de {most_tests} pruebas",
  "the names of the tests are too long": "los nombres de las pruebas son demasiado largos",
  "the checkout can't be written: {strerror}": "no se puede escribir el código extraído: {strerror}",
  "a database server of this version has ended": "ha terminado un servidor de base de datos de esta versión",
  "it used more memory than its sandbox may have, and {words}{end}":
    "usó más memoria de la que puede tener su sandbox, y {words}{end}",
  "the process {words}{end}": "el proceso {words}{end}",
  "it {words}; it was killed": "{words}; se detuvo",
  "it was not healthy within {within_seconds} s: it {description}":
    "no estuvo sana en {within_seconds} s: {description}",
  "after {checked_seconds} s of good health it {description}": "tras {checked_seconds} s de buena salud, {description}",
  "it has no process now": "ahora no tiene proceso",
  "{misses} times in a row it {description}": "{misses} veces seguidas {description}",
  "it failed {count} times within {deaths_within_seconds} s, most recently: {reason}":
    "falló {count} veces en {deaths_within_seconds} s, la última: {reason}",
  "the setup command failed: {reason}": "el comando de preparación falló: {reason}",
  "the services did not start: {output}": "no se iniciaron los servicios: {output}",
  "they were not prepared within {whole_seconds} s": "no se prepararon en {whole_seconds} s",
  "they could not be prepared: {output}": "no se pudieron preparar: {output}",
  "{shown} is a link or can't be read": "{shown} es un enlace o no se puede leer",
  "{shown} is no file of its own": "{shown} no es un archivo propio",
  "the files are larger than {most} MiB together": "los archivos son mayores que {most} MiB en conjunto",
  ", {renamed} renamed": ", {renamed} con otro nombre",
  "{renamed}, {accepted} let go by a person": "{renamed}, {accepted} que dejó ir una persona",
  "{program} ended without a result": "{program} terminó sin resultado",
  "{program} exited with {code}": "{program} terminó con {code}",
  "{program} was killed by signal {code}": "{program} fue terminado por la señal {code}",
  "is not readable: quotes are missing": "no se puede leer: faltan comillas",
  "is not set": "no está definido",
  "{setting} starts {found}": "{setting} inicia {found}",
  "{setting} {wrong}; set it to the command that does the work":
    "{setting} {wrong}; poner en él el comando que hace el trabajo",
  "{setting}: there is no program {words}; install it or give its full path":
    "{setting}: no existe el programa {words}; instalarlo o dar su ruta completa",
  "{value} tokens": "{value} tokens",
  "The command": "El comando",
  "The program": "El programa",
  "A member": "Un miembro",
  "A maintainer": "Un mantenedor",
  "Waiting: {waits_for}": "Esperando: {waits_for}",
  "Gitea's {method} {path}": "{method} {path} de Gitea",
  "{context}: missing": "{context}: ausente",
  "One {what} was found: {shown}.": "Se encontró 1 {what}: {shown}.",
  "{count} {many} were found: {shown}.": "Se encontraron {count} {many}: {shown}.",
  secret: "secreto",
  secrets: "secretos",
  " by {creator}": " de {creator}",
  "at {expected}": "en {expected}",
  "git {arguments} in {name}": "git {arguments} en {name}",
  "git {name} {why}: {output}": "git {name} {why}: {output}",
  "is at {found}": "está en {found}",
  "it {status}": "{status}",
  "it {words}": "{words}",
  "Step {number} ({kind}): {message}": "Paso {number} ({kind}): {message}",
  "Step {number}{value}: {error}": "Paso {number}{value}: {error}",
  "{description} with {status}": "{description} con {status}",
  "{name} in {place}": "{name} en {place}",
  "{scope}'s cap": "límite para {scope}",
  "{value} is not {what}": "{value} no es {what}",
  "{what} is {how}": "{what} está {how}",
  approves: "aprueba",
  missing: "ausente",
  pending: "pendiente",
  platform: "la plataforma",
  project: "el proyecto",
  run: "ejecución",
  runs: "ejecuciones",
  task: "la tarea",
  nothing: "nada",
  "It is not known which lines the tests touch: it has merged what {branch} got by another merge.":
    "No se sabe qué líneas tocan las pruebas: ha fusionado lo que {branch} recibió por otra fusión.",
  "It is not known which lines the tests touch: measured, they fail":
    "No se sabe qué líneas tocan las pruebas: medidas, fallan",
  "No active user of this name may maintain this project":
    "Ningún usuario activo con este nombre puede mantener este proyecto",
  "No tool measured which lines the tests touch.": "Ninguna herramienta midió qué líneas tocan las pruebas.",
  "The tests run once more, to find the lines that none touches.":
    "Las pruebas se ejecutan otra vez, para encontrar las líneas que ninguna toca.",
  "coverage.py is not installed": "coverage.py no está instalado",
  ["red and green on {flaky_tests} commits, all of one task counted as one; in all on {flaked_on} of the " +
  "{ran_on} on which it ran"]:
    "roja y verde en {flaky_tests} commits, contando como uno todos los de una tarea; en total en {flaked_on} de " +
    "los {ran_on} en que se ejecutó",
  "task {id} has gone on since its review; there is nothing to overrule":
    "la tarea {id} ha seguido desde su revisión; no hay nada que dejar sin efecto",
  "task {id} has no review of its newest commit; there is nothing to overrule":
    "la tarea {id} no tiene revisión de su último commit; no hay nada que dejar sin efecto",
  "the review of task {id} has {status}; there is nothing to overrule":
    "la revisión de la tarea {id} está en estado «{status}»; no hay nada que dejar sin efecto",
  "the tests measure by themselves and write no report of a known form, such as coverage.xml":
    "las pruebas miden por su cuenta y no escriben ningún informe de forma conocida, como coverage.xml",
  "{limit} tokens": "{limit} tokens",
  "{actor} overruled the review": "{actor} dejó sin efecto la revisión",
  "{driver} gave no verdict: it reached its limit of {reached}":
    "{driver} no dio veredicto: alcanzó su límite de {reached}",
  "{kind} {id} is no comment; only comments can be resolved":
    "{kind} {id} no es un comentario; solo se pueden resolver comentarios",
  "{overruled_by} overruled the review of task {id} before":
    "{overruled_by} ya dejó sin efecto la revisión de la tarea {id}",
  "{overruled_by} went on without this review: {overruled_reason}":
    "{overruled_by} siguió sin esta revisión: {overruled_reason}",
};

// The names of fields, for what is wrong with one.
export const FIELDS = {
  acceptRolledBack: "Aceptar lo revertido",
  actor: "Quién lo hizo",
  after: "Después de",
  afterSeq: "Después de",
  agentInstructions: "Instrucciones para los agentes",
  agentReview: "Revisión por otro agente",
  allowDirectPush: "Envíos directos",
  api: "API",
  assignedAgentId: "Agente",
  autoQuarantine: "Cuarentena por regla",
  baseUrl: "URL base",
  before: "Antes de",
  beforeSeq: "Antes de",
  body: "Texto",
  by: "Agrupado por",
  cachePaths: "Carpetas en caché",
  cacheWrite: "Escritura en caché",
  cached: "Desde caché",
  caps: "Límites",
  comments: "Comentarios",
  commits: "Commits",
  commitSha: "Commit",
  costUsd: "Coste",
  coverage: "Cobertura",
  cpuLimit: "Límite de CPU",
  current: "Contraseña actual",
  cursor: "Cursor",
  day: "Día",
  days: "Días",
  deadlineMinutes: "Plazo para responder",
  defaultBranch: "Rama por defecto",
  dependencyScan: "Dependencias nuevas con fallos conocidos",
  dependsOn: "Depende de",
  description: "Descripción",
  dockerImage: "Imagen",
  driver: "Driver",
  egress: "Red",
  egressHosts: "Más hosts",
  enabled: "Activado",
  envVars: "Variables de entorno",
  environment: "Entorno",
  escalateTo: "Después preguntar a",
  expiresAt: "Caduca",
  fallback: "Alternativa",
  fallbackModel: "Modelo alternativo",
  firstLine: "Primera línea",
  forbiddenPaths: "Rutas prohibidas",
  format: "Formato",
  from: "Desde",
  groupTestRuns: "Veces en verde antes de integrar un grupo",
  healthContains: "Texto de salud",
  healthPath: "Ruta de salud",
  healthSeconds: "Sana durante",
  importUrl: "Importar desde",
  input: "Entrada",
  interrupt: "Interrumpir",
  isActive: "Activo",
  keepTests: "Conservar pruebas",
  key: "Clave",
  kind: "Tipo",
  kinds: "Tipos",
  label: "Etiqueta",
  labels: "Etiquetas",
  lastLine: "Última línea",
  level: "Nivel",
  limit: "Límite",
  limits: "Límites",
  line: "Línea",
  login: "Acceso",
  maxCostUsd: "Coste máximo",
  maxMinutes: "Minutos máximos",
  maxParallelTasks: "Tareas a la vez",
  maxTokens: "Tokens máximos",
  awaitsFiles: "Espera sus archivos",
  mayChangeTestSetup: "Puede cambiar cómo se ejecutan las pruebas",
  memoryLimit: "Límite de memoria",
  mine: "Mías",
  minutes: "Minutos",
  mode: "Modo",
  model: "Modelo",
  models: "Modelos",
  mostQuarantined: "Pruebas en cuarentena a la vez",
  name: "Nombre",
  names: "Nombres",
  new: "Contraseña nueva",
  note: "Nota",
  notes: "Notas",
  offset: "Posición",
  onDeadline: "Al vencer el plazo",
  order: "Orden",
  output: "Salida",
  owner: "Responsable",
  page: "Página",
  password: "Contraseña",
  path: "Ruta",
  pattern: "Patrón",
  port: "Puerto",
  preview: "Vista previa",
  previewTtlHours: "Las vistas previas duran",
  prices: "Precios",
  priority: "Prioridad",
  production: "Producción",
  projectId: "Proyecto",
  q: "Búsqueda",
  questionId: "Pregunta",
  questionRules: "Reglas de las preguntas",
  reason: "Motivo",
  refreshToken: "Sesión",
  remindMinutes: "Recordar tras",
  replicas: "Réplicas",
  requiredCapabilities: "Capacidades requeridas",
  requiredStatuses: "Estados exigidos",
  resolved: "Resuelto",
  response: "Respuesta",
  restricted: "Restringido",
  result: "Resultado",
  review: "Modo de la revisión",
  role: "Rol",
  runs: "Ejecuciones",
  secret: "Secreto",
  secretEnvVarChanges: "Variables secretas",
  secretEnvVars: "Variables secretas",
  secretScan: "Secretos en las líneas que añade una tarea",
  secretsInChecks: "Secretos en comprobaciones",
  secretsInPreviews: "Secretos en vistas previas",
  separateApprover: "Aprobador distinto",
  services: "Servicios",
  setupCommand: "Comando de preparación",
  side: "Lado",
  split: "División",
  staging: "Staging",
  startCommand: "Comando de inicio",
  startLine: "Línea inicial",
  starter: "Empezar con",
  state: "Estado",
  status: "Estado",
  targetBranch: "Rama de destino",
  task: "Tarea",
  taskId: "Tarea",
  taskIds: "Tareas",
  testCommand: "Comando de prueba",
  testReport: "Informe de pruebas",
  testSetup: "Archivos que definen cómo se ejecutan las pruebas",
  testsFirst: "Pruebas nuevas que pasan sin el cambio",
  testsLost: "Pruebas que ya no se ejecutan",
  text: "Texto",
  title: "Título",
  to: "Hasta",
  toDeploymentId: "Despliegue",
  tokens: "Tokens",
  total: "En total",
  type: "Tipo",
  url: "Dirección",
  username: "Usuario",
  verdict: "Veredicto",
  version: "Versión",
};
