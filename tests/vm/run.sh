#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh: run a command in a Debian kernel under QEMU (software emulation, no KVM needed).
#
#   run.sh -k KERNELDIR [-d] [-n] [-f PATH[:DEST]]... [-m MODULE]... [-e NAME=VALUE]... [-o DIR]
#          [-r] [-b] [-t SECONDS] [-M MB] [-c CPUS] -- COMMAND [ARG...]
#
#   -k  an unpacked Debian kernel, as kernel.sh makes them
#   -d  deterministic time: one CPU, guest time advances by executed instructions, idle time is
#       skipped. Delays set by netem then show up to some microseconds, and cost no wall time.
#   -n  a virtio interface, eth0, whose only peer is an echo server at 10.0.2.100 port 80. Not with
#       -d: guest time would run ahead of the answers.
#   -f  a file or directory to carry; a program brings its shared libraries along
#   -m  load a kernel module and what it depends on (always: virtio_blk veth sch_netem tcp_diag)
#   -e  a variable for the command's environment
#   -o  what the command leaves in /out comes back into DIR
#   -r  this machine's root is /host there, read-only, through virtiofs: for programs whose libraries
#       are too large to carry. Takes -M 1024 or more.
#   -b  busybox alone, besides the files carried: no dash, ip, tc, ss, and no library unless one of the
#       files has it
#   -t  seconds of guest time for the command, 60 unless told
#
#   TCPTAPE_VM_PATIENCE   how many times that the machine may take for it, 1 unless told: more where
#                         other work runs beside it
#
# Unless told -b, the guest is an initramfs of busybox, dash, ip, tc, ss and the files carried; its host name is
# "vm". The command's standard output, standard error and exit status become ours.
# Exit status: 125 the guest did not report (the console's tail is on standard error); 137 the
# command ran out of time; 77 a program that this script needs is missing.
set -euo pipefail

kernel_dir='' out='' limit=60 mem=512 cpus=2 deterministic='' nic=none share='' bare=''
virtiofsd=/usr/lib/qemu/virtiofsd
modules=(virtio_pci virtio_blk veth sch_netem tcp_diag)
files=() env=()
while getopts k:dnf:m:e:o:rbt:M:c: opt; do
	case $opt in
	k) kernel_dir=$OPTARG ;;
	d) deterministic=1 ;;
	n)
		nic=user,model=virtio-net-pci,restrict=on,guestfwd=tcp:10.0.2.100:80-cmd:cat
		modules+=(virtio_net)
		;;
	f) files+=("$OPTARG") ;;
	m) modules+=("$OPTARG") ;;
	e) env+=("$OPTARG") ;;
	o) out=$OPTARG ;;
	r)
		share=1
		modules+=(virtiofs)
		;;
	b) bare=1 ;;
	t) limit=$OPTARG ;;
	M) mem=$OPTARG ;;
	c) cpus=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
if [ -z "$kernel_dir" ] || [ $# = 0 ]; then
	sed -n '4,9s/^# \?//p' "$0" >&2
	exit 2
fi

for tool in qemu-system-x86_64 busybox dash ip tc ss cpio objcopy xz; do
	if ! PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null; then
		echo "SKIP: $tool is not installed"
		exit 77
	fi
done
if [ -n "$share" ] && [ ! -x "$virtiofsd" ]; then
	echo "SKIP: $virtiofsd is not installed"
	exit 77
fi
PATH=$PATH:/usr/sbin:/sbin

work=$(mktemp -d "${TMPDIR:-/tmp}/tcptape-vm.XXXXXX") daemon=''
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :; rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,tmp,run,out,root,etc,modules,host}
vmlinuz=$(find "$kernel_dir" -name 'vmlinuz*' -print -quit)
module_dir=$(find "$kernel_dir" -path '*lib/modules/*/kernel' -print -quit)

# ---- files ----

carry() { # PATH[:DEST]
	local src=${1%%:*} dst=${1#*:} lib
	[[ $1 == *:* ]] || dst=$src
	mkdir -p "$root$(dirname "$dst")"
	cp -RL "$src" "$root$dst"
	[ -f "$src" ] || return 0
	# ldd fails for scripts and static programs, which need nothing
	for lib in $(ldd "$src" 2>/dev/null | grep -o '/[^ ]*' || :); do
		[ -e "$root$lib" ] && continue
		mkdir -p "$root$(dirname "$lib")"
		cp -L "$lib" "$root$lib"
	done
}

# Applets of busybox prefer each other to programs in PATH: its shell would run its own ip and tc,
# its env and timeout its own shell. Hence dash.
carry "$(command -v busybox):/bin/busybox"
if [ -z "$bare" ]; then
	carry "$(command -v dash):/bin/sh"
	for tool in ip tc ss; do carry "$(command -v $tool):/usr/sbin/$tool"; done
fi
for file in ${files[@]+"${files[@]}"}; do carry "$file"; done
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"

# ---- kernel modules ----

declare -A seen=()

unpack() { # FILE
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -qdc "$1" ;;
	*) cat "$1" ;;
	esac
}

add_module() { # NAME: what it depends on first, then itself; built-in ones have no file
	local name=${1//-/_} file dep
	[ -z "${seen[$name]:-}" ] || return 0
	seen[$name]=1
	file=$(find "$module_dir" -name "${name//_/[-_]}.ko*" -print -quit)
	[ -n "$file" ] || return 0
	unpack "$file" >"$root/modules/$name.ko"
	for dep in $(objcopy -O binary -j .modinfo "$root/modules/$name.ko" /dev/stdout |
		tr '\0' '\n' | sed -n 's/^depends=//p' | tr , ' '); do
		add_module "$dep"
	done
	echo "$name" >>"$root/modules/order"
}

: >"$root/modules/order"
for module in "${modules[@]}"; do add_module "$module"; done

# ---- the guest's init: run the command, report on the raw disk ----

quote() { printf "'%s' " "${1//\'/\'\\\'\'}"; }
{
	for var in ${env[@]+"${env[@]}"}; do printf 'export %s\n' "$(quote "$var")"; done
	for arg in "$@"; do quote "$arg"; done
} >"$root/command"
echo "$limit" >"$root/limit"
cat >"$root/init" <<'EOF_INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TCPTAPE_VM=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing
mkdir -p /sys/fs/cgroup
mount -t cgroup2 cgroup /sys/fs/cgroup
hostname vm
for m in $(cat /modules/order); do insmod /modules/$m.ko; done
[ ! -e /share ] || mount -t virtiofs -o ro host /host
ifconfig lo 127.0.0.1 up
timeout -s KILL "$(cat /limit)" /bin/sh /command >/out/.stdout 2>/out/.stderr </dev/null
echo $? >/out/.status
tar cf /dev/vda -C /out .
sync
poweroff -f
EOF_INIT
chmod +x "$root/init"
[ -z "$share" ] || touch "$root/share"
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$work/initrd"
truncate -s 256M "$work/disk"

# ---- boot ----

accel=(-accel "tcg,thread=multi" -smp "$cpus")
[ -z "$deterministic" ] ||
	accel=(-accel "tcg,thread=single" -icount "shift=0,sleep=off" -rtc clock=vm -smp 1)
shared=()
if [ -n "$share" ]; then
	"$virtiofsd" --socket-path="$work/socket" -o source=/ -o cache=always -o sandbox=chroot \
		--rlimit-nofile=0 >"$work/virtiofsd" 2>&1 </dev/null &
	daemon=$!
	for _ in {1..200}; do [ -S "$work/socket" ] || sleep 0.05; done
	shared=(-object "memory-backend-memfd,id=mem,size=${mem}M,share=on" -numa node,memdev=mem
		-chardev "socket,id=fs,path=$work/socket" -device vhost-user-fs-pci,chardev=fs,tag=host)
fi
timeout $((limit * ${TCPTAPE_VM_PATIENCE:-1} + 60)) qemu-system-x86_64 "${accel[@]}" -cpu max -m "$mem" \
	${shared[@]+"${shared[@]}"} \
	-display none -no-reboot -nic "$nic" -serial "file:$work/console" \
	-drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
	-kernel "$vmlinuz" -initrd "$work/initrd" \
	-append "console=ttyS0 panic=-1 quiet mitigations=off" </dev/null >&2 || :

mkdir "$work/got"
tar xf "$work/disk" -C "$work/got" 2>/dev/null || :
if [ ! -f "$work/got/.status" ]; then
	tail -40 "$work/console" >&2
	echo "run.sh: the guest did not report" >&2
	exit 125
fi
cat "$work/got/.stdout"
cat "$work/got/.stderr" >&2
status=$(cat "$work/got/.status")
if [ -n "$out" ]; then
	rm "$work/got/.stdout" "$work/got/.stderr" "$work/got/.status"
	mkdir -p "$out"
	cp -R "$work/got/." "$out/"
fi
exit "$status"
