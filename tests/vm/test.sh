#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test.sh SUITE SCRIPT [RUN-OPTION...]: run a shell test of tests/ (a path below it) in the VM, on
# the kernel of a Debian suite. The guest gets the programs under test, lib.sh, the script, and
# those of bcc's tools (Debian's libbpf-tools) and others that this machine has (busybox lacks
# join and cksum, its date nanoseconds, its env options, and its timeout and nsenter run its own
# applets).
# What the test leaves in /out comes back into $VM_OUT, if that is set.
set -eu

suite=$1 script=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
tests=${here%/vm}
PATH=$PATH:/usr/sbin:/sbin

if [ -z "${TCPTAPE_RECORD:-}" ]; then
	echo "SKIP: built without the recorder"
	exit 77
fi
if [ "$(uname -m)" != x86_64 ]; then
	echo "SKIP: the VM tests are for x86_64 so far"
	exit 77
fi
status=0
kernel=$("$here/kernel.sh" "$suite") || status=$?
if [ $status != 0 ]; then
	echo "$kernel"
	exit $status
fi

carry() { # PROGRAM...: as options for run.sh
	for program in "$@"; do
		path=$(command -v "$program") || continue
		echo "-f $path:/usr/bin/${path##*/}"
	done
}

nat=''
scenarios=''
case $script in vm/explain.sh)
	for file in scenario.sh causes.sh explain/causes; do
		scenarios="$scenarios -f $tests/../sample-traces/$file:/sample-traces/$file"
	done
	;;
esac
case $script in *nat.sh | *join.sh | *wire.sh) nat='-m nft_chain_nat -m nft_nat -m nft_masq -m nf_conntrack_netlink' ;; esac

# shellcheck disable=SC2046,SC2086 # options are words
exec "$here/run.sh" -k "$kernel" ${VM_OUT:+-o "$VM_OUT"} -m tun -m nf_tables -m nft_counter -m sch_tbf -m sch_fq $nat $scenarios -m 8021q \
	-f "$TCPTAPE:/usr/bin/tcptape" -f "$TCPTAPE_RECORD:/usr/bin/tcptape-record" \
	-f "$LOAD:/usr/bin/load" -f "$LINK:/usr/bin/link" \
	${SEGMENT:+-f "$SEGMENT:/usr/bin/segment"} ${MOVE:+-f "$MOVE:/usr/bin/move"} \
	${CROWD:+-f "$CROWD:/usr/bin/crowd"} -e CROWD=/usr/bin/crowd \
	${EXCHANGE:+-f "$EXCHANGE:/usr/bin/exchange"} -e EXCHANGE=/usr/bin/exchange \
	${WRITER:+-f "$WRITER:/usr/bin/writer"} -e WRITER=/usr/bin/writer \
	${DOORS:+-f "$DOORS:/usr/bin/doors"} -e DOORS=/usr/bin/doors \
	${RARE:+-f "$RARE:/usr/bin/rare"} -e RARE=/usr/bin/rare \
	${OFFLOAD:+-f "$OFFLOAD:/usr/bin/offload"} -e OFFLOAD=/usr/bin/offload \
	-f "$tests/lib.sh:/tests/lib.sh" -f "$tests/$script:/tests/$script" \
	$(carry tcprtt tcpconnect tcpconnlat tcpstates tcplife tcptop tcptracer tcpsynbl stdbuf) \
	$(carry chrt taskset setpriv strace wrk join cksum date env timeout nft conntrack tcpdump unshare nsenter diff cmp) \
	$(find /usr/libexec/coreutils -name libstdbuf.so -printf '-f %p ') \
	-e TCPTAPE=/usr/bin/tcptape -e TCPTAPE_RECORD=/usr/bin/tcptape-record \
	-e LOAD=/usr/bin/load -e LINK=/usr/bin/link -e SEGMENT=/usr/bin/segment -e MOVE=/usr/bin/move "$@" -- sh "/tests/$script"
