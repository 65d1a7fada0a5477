# Work that is done once: sourced by script/setup, script/demo and script/bench, from the root of the checkout.
# A finished part leaves a stamp in .cache/stamps with a hash of what it was made from.

say() { printf '==> %s\n' "$*"; }

# hash_of [TEXT...] [-- PATH...]: one hash of the texts and of the names and contents of all files below the paths.
hash_of() {
  local texts=()
  while [[ $# -gt 0 && $1 != -- ]]; do texts+=("$1"); shift; done
  [[ $# -gt 0 ]] && shift
  { printf '%s\n' "${texts[@]-}"; [[ $# -gt 0 ]] && find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } |
    sha256sum | cut -d ' ' -f 1
}

# once NAME HASH OUTPUT COMMAND...: runs COMMAND unless OUTPUT exists and COMMAND succeeded before with HASH.
once() {
  local name=$1 hash=$2 output=$3 stamp=.cache/stamps/${1//[^A-Za-z0-9]/-}
  shift 3
  if [[ -e $output && -f $stamp && $(<"$stamp") == "$hash" ]]; then return; fi
  say "$name"
  mkdir -p .cache/stamps
  rm -f "$stamp"
  "$@"
  printf '%s' "$hash" >"$stamp"
}
