# listen:PORT  answers one connection: shows the line that comes, sends one back.
port=${1:-7777}
cat_line='read -r line; echo "guest heard: $line"; echo "$line" >/tmp/heard'
echo "listening on $port"
busybox timeout 60 busybox nc -l -p "$port" -e busybox sh -c "$cat_line"
busybox cat /tmp/heard
