ulimit -l 64
setpriv --bounding-set=-sys_resource sh -c 'ulimit -l; grep Cap /proc/self/status; tcptape-record --list | head -3; tcptape-record -d 1 -o /tmp/x; echo rc=$?;  tcptape-record -d 1 -o /tmp/y -- sh -c "ulimit -l"; tcptape-record -d 1 -e conn --buffer 128K -o /tmp/y; echo rc=$?; ulimit -l 4; tcptape-record -d 1 -o /tmp/z; echo rc=$?; tcptape-record --list' 
ulimit -l; tcptape-record -o /tmp/k -- sh -c "ulimit -l"
tcptape-record -d 1 -o /tmp/x; echo rc=$?
