# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# What static.sh runs in a machine that has busybox, a kernel and tcptape-record, and no library at all.
find / -xdev \( -name '*.so' -o -name '*.so.*' \) >/out/libraries
mkdir /www
echo "this is it" >/www/page
httpd -p 127.0.0.1:8080 -h /www
tcptape-record --list >/out/list 2>&1
tcptape-record -o /out/guest.tcptape -- sh -c '
	for i in 1 2 3 4 5; do wget -q -O - http://127.0.0.1:8080/page; done
	echo x | nc 127.0.0.1 8081
' >/out/pages 2>/out/summary
echo $? >/out/status
