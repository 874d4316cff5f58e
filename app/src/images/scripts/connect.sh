# connect:ADDRESS-PORT  sends a line to a server and shows the answer.
address=${1%-*} port=${1##*-}
echo "hello from the guest" | busybox timeout 20 busybox nc "$address" "$port"
