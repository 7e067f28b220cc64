//! The site's repository: scripts that make it, serve it, and keep its mirror.

use crate::assets::{Assets, BRANCH, REPOSITORY};
use crate::config::ConfFile;
use crate::layout;
use crate::manifest;
use crate::plan::Host;

/// Makes and serves the repository.
pub const SERVE: &str = "repository.sh";
/// Serves the mirror.
pub const SERVE_MIRROR: &str = "repository-mirror.sh";
/// Keeps the mirror.
pub const FETCH: &str = "repository-fetch.sh";
/// The repository's README.
const README: &str = "repository-readme.md";

/// The scripts, and the README that is in the first commit.
#[must_use]
pub fn files(assets: &Assets) -> Vec<ConfFile> {
    let file = |name: &str, text: String| ConfFile { name: name.to_owned(), text };
    let mut files =
        vec![file(SERVE, first_commit() + &serve(assets, &assets.repository)), file(README, readme(assets))];
    for mirror in mirrors(assets) {
        files.push(file(SERVE_MIRROR, serve(assets, mirror)));
        files.push(file(FETCH, fetch(assets)));
    }
    files
}

/// Every copy but the first.
pub fn mirrors(assets: &Assets) -> impl Iterator<Item = &Host> {
    assets.regions.values().filter_map(|region| region.mirror.as_ref())
}

fn readme(assets: &Assets) -> String {
    let copies = [&assets.repository].into_iter().chain(mirrors(assets));
    let urls: Vec<_> = copies.map(|host| format!("- {}\n", assets.repository_url(host))).collect();
    format!(
        "# events\n\nThe site is described in [{file}]({file}). This repository is served at\n\n{urls}\n\
         The first is the source; the others follow it.\n",
        file = manifest::FILE,
        urls = urls.concat()
    )
}

/// Made aside and moved in whole, so that a start that is killed leaves nothing half made.
fn first_commit() -> String {
    format!(
        "# Makes the site's repository, once: its one commit is the manifest that the lab was started with.
set -eu
repo=$HOME/{REPOSITORY}
if [ ! -d \"$repo\" ]; then
    rm -rf \"$repo.new\"
    git init -q --bare --initial-branch={BRANCH} \"$repo.new\"
    cd \"$repo.new\"
    manifest=$(git hash-object -w {manifest})
    readme=$(git hash-object -w {readme})
    tree=$(printf '100644 blob %s\\tREADME.md\\n100644 blob %s\\t{name}\\n' \"$readme\" \"$manifest\" | git mktree)
    export GIT_AUTHOR_NAME=lab GIT_AUTHOR_EMAIL=lab@events.test
    export GIT_COMMITTER_NAME=lab GIT_COMMITTER_EMAIL=lab@events.test
    commit=$(git commit-tree -m 'The site as the lab started it' \"$tree\")
    git update-ref refs/heads/{BRANCH} \"$commit\"
    mv \"$repo.new\" \"$repo\"
fi
",
        manifest = layout::lab().join(manifest::FILE).display(),
        readme = layout::conf(README).display(),
        name = manifest::FILE,
    )
}

fn serve(assets: &Assets, host: &Host) -> String {
    format!(
        "# Serves it to everybody, read only: a push needs an option that is not given.
exec /usr/lib/git-core/git-daemon --reuseaddr --listen={address} --port={port} --export-all --informative-errors \\
    --base-path=\"$HOME\" --timeout=10 --max-connections=8
",
        address = host.address,
        port = assets.ports.git,
    )
}

/// A silent line must not hold the loop: git itself waits for as long as the kernel does.
fn fetch(assets: &Assets) -> String {
    format!(
        "# Follows the repository, for as long as it can be reached; what was fetched stays.
repo=$HOME/{REPOSITORY}
while :; do
    [ -d \"$repo\" ] || git init -q --bare --initial-branch={BRANCH} \"$repo\"
    timeout 10 git -C \"$repo\" fetch -q --prune {url} '+refs/*:refs/*' && sleep 5 || sleep 1
done
",
        url = assets.repository_url(&assets.repository)
    )
}
