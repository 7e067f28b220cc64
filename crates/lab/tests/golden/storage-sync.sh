# Copies what is written to events-backups-us-east-2 into events-backups-us-west-1, while both can store.
# What came from here is not sent back.
can_store() {
    curl -sf --max-time 1 "http://$1:9333/dir/assign?collection=$2" | grep -q '"fid"'
}
both_answer() {
    curl -sf --max-time 1 --fail-early -o /dev/null http://10.77.2.70:8333/healthz -o /dev/null http://10.77.1.70:8333/healthz
}
while :; do
    until can_store 10.77.2.70 events-backups-us-west-1 && can_store 10.77.1.70 events-backups-us-east-2; do sleep 0.5; done
    /run/bascule/venv/bin/weed -logtostderr=true filer.sync -isActivePassive -concurrency=1 \
        -a=10.77.1.70:8888 -a.path=/buckets/events-backups-us-east-2 \
        -b=10.77.2.70:8888 -b.path=/buckets/events-backups-us-west-1 \
        -metricsIp=10.77.2.70 -metricsPort=9328 &
    while kill -0 $! 2>/dev/null && both_answer; do sleep 1; done
    kill $! 2>/dev/null
    sleep 0.5
    kill -KILL $! 2>/dev/null
    wait
done
