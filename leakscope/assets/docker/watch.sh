#!/bin/sh
# Watches a running container from another one: nothing is restarted or installed in it.
#
#     sh watch.sh CONTAINER watch --duration 5m
#
# Without a PID leakscope takes the only Python process there is; `ps` lists them.
#
# Needs:  the processes of CONTAINER (--pid), and root with SYS_PTRACE and no other capability.
#         Where CONTAINER runs as one user that is not root, without capabilities, and the host has
#         kernel.yama.ptrace_scope=0, not even that: LEAKSCOPE_USER=UID[:GID] takes that user, and
#         no capability at all.
# Costs:  whoever may run this owns the host anyway, as with all that may talk to Docker. The
#         container has no network and can't write its files; it ends with the watch.
set -eu
: "${LEAKSCOPE_IMAGE:=registry.example/leakscope:1}"
if [ "$#" -lt 2 ]; then
    echo "usage: [LEAKSCOPE_IMAGE=...] [LEAKSCOPE_USER=...] sh watch.sh CONTAINER COMMAND [OPTION...]" >&2
    exit 2
fi
container=$1
shift
if [ -n "${LEAKSCOPE_USER:-}" ]; then
    set -- --user "$LEAKSCOPE_USER" --entrypoint leakscope "$LEAKSCOPE_IMAGE" "$@"
else
    set -- --user 0 --cap-add SYS_PTRACE --entrypoint leakscope "$LEAKSCOPE_IMAGE" "$@"
fi
terminal=
if [ -t 0 ] && [ -t 1 ]; then
    terminal=--tty
fi
exec docker run --rm --interactive $terminal --pid="container:$container" --network none \
    --read-only --cap-drop ALL --security-opt no-new-privileges "$@"
