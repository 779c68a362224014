set -eu
. "$(dirname "$0")/../lib.sh"
make_namespaces
join_by_link 20000 40
link=$pid
serve server 10.9.0.2 17101
[ -z "${REC:-}" ] || record "$tmp/t.tcptape" -e conn,retrans
start cl ip netns exec "$A" "$LOAD" client -n 2 -c 2 -s 400000 10.9.0.2 17101
c=$pid
for i in 1 2 3 4 5 6 7 8; do
sleep 3
echo "== $(cut -d' ' -f1 /proc/uptime)"
ip netns exec $A ss -tinoe; ip netns exec $B ss -tinoe
in_a ip -s link show tun0 | tail -5; in_b ip -s link show tun0 | tail -5
cat /proc/$link/wchan; echo; cat /proc/$link/stat | cut -c1-80
cat "$tmp/cl.out"
kill -0 $c || break
done
