# Follows the repository, for as long as it can be reached; what was fetched stays.
repo=$HOME/site.git
while :; do
    [ -d "$repo" ] || git init -q --bare --initial-branch=main "$repo"
    timeout 10 git -C "$repo" fetch -q --prune git://10.77.3.80/site.git '+refs/*:refs/*' && sleep 5 || sleep 1
done
