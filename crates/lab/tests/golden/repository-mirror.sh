# Serves it to everybody, read only: a push needs an option that is not given.
exec /usr/lib/git-core/git-daemon --reuseaddr --listen=10.77.2.80 --port=9418 --export-all --informative-errors \
    --base-path="$HOME" --timeout=10 --max-connections=8
