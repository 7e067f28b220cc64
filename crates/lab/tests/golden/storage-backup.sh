# Stores the database of us-west-1 in events-backups-us-west-1: at once, then every 3600 s. A standby is asked first.
export PGPASSWORD='<replication>' PGCONNECT_TIMEOUT=5
bin=/usr/lib/postgresql/15/bin
new=$HOME/backup
store() {
    curl -sSf --max-time 60 -K - <<END
user = "bascule:<storage>"
aws-sigv4 = "aws:amz:us-west-1:s3"
upload-file = "$1"
url = "http://10.77.2.70:8333/events-backups-us-west-1/backups/$name/$2"
END
}
back_up() {
    rm -rf "$new" &&
    $bin/pg_basebackup -d 'host=10.77.2.11,10.77.2.12,10.77.2.13 port=5432 user=replicator target_session_attrs=prefer-standby' \
        -D "$new" --wal-method=fetch --checkpoint=fast &&
    $bin/pg_verifybackup -q "$new" &&
    tar -C "$new" --use-compress-program='gzip -1' -cf "$new.tar.gz" . &&
    name=us-west-1-$(date -u +%Y%m%dT%H%M%SZ) &&
    store "$new.tar.gz" base.tar.gz && store "$new/backup_manifest" backup_manifest &&
    rm -rf "$new" "$new.tar.gz" && echo "$name" >"$HOME/newest-backup"
}
while :; do
    back_up && sleep 3600 || sleep 1
done
