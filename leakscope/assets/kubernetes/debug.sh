#!/bin/sh
# Watches a running pod by a container that is attached to it: nothing is restarted or deployed.
#
#     sh debug.sh POD CONTAINER watch --duration 5m
#
# Without a PID leakscope takes the only Python process there is; `ps` lists them.
#
# Needs:  kubectl 1.31 or newer, for --custom, and the right to patch pods/ephemeralcontainers.
#         The container shares the processes of CONTAINER (--target), and has root and SYS_PTRACE,
#         nothing else: see debug-container.yaml, which has to lie beside this file.
# Costs:  not allowed by the Pod Security Standards "baseline" and "restricted", which know no
#         SYS_PTRACE; they hold for ephemeral containers too. An ephemeral container can't be
#         removed: once it has ended it stays in the pod's description, until the pod is replaced.
#         The profile is named because its default changed between versions of kubectl.
set -eu
: "${LEAKSCOPE_IMAGE:=registry.example/leakscope:1}"
if [ "$#" -lt 3 ]; then
    echo "usage: [LEAKSCOPE_IMAGE=...] sh debug.sh POD CONTAINER COMMAND [OPTION...]" >&2
    exit 2
fi
pod=$1
container=$2
shift 2
exec kubectl debug "$pod" --stdin --tty --target="$container" --image="$LEAKSCOPE_IMAGE" \
    --profile=general --custom="$(dirname "$0")/debug-container.yaml" -- leakscope "$@"
