# Makes the site's repository, once: its one commit is the manifest that the lab was started with.
set -eu
repo=$HOME/site.git
if [ ! -d "$repo" ]; then
    rm -rf "$repo.new"
    git init -q --bare --initial-branch=main "$repo.new"
    cd "$repo.new"
    manifest=$(git hash-object -w /run/bascule/lab/bascule.toml)
    readme=$(git hash-object -w /run/bascule/lab/conf/repository-readme.md)
    tree=$(printf '100644 blob %s\tREADME.md\n100644 blob %s\tbascule.toml\n' "$readme" "$manifest" | git mktree)
    export GIT_AUTHOR_NAME=lab GIT_AUTHOR_EMAIL=lab@events.test
    export GIT_COMMITTER_NAME=lab GIT_COMMITTER_EMAIL=lab@events.test
    commit=$(git commit-tree -m 'The site as the lab started it' "$tree")
    git update-ref refs/heads/main "$commit"
    mv "$repo.new" "$repo"
fi
# Serves it to everybody, read only: a push needs an option that is not given.
exec /usr/lib/git-core/git-daemon --reuseaddr --listen=10.77.3.80 --port=9418 --export-all --informative-errors \
    --base-path="$HOME" --timeout=10 --max-connections=8
