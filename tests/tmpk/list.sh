tcptape-record --list; echo rc=$?; ulimit -l; uname -r
