package wire

import "syscall"

// bindAddressNoPort is IP_BIND_ADDRESS_NO_PORT of linux/in.h.
const bindAddressNoPort = 24

// lateport leaves the choice of a bound socket's port to connect, which takes
// one that is free towards this target. At bind it would be one that is free
// towards everybody. An old kernel that does not know it only has fewer.
func lateport(fd uintptr) {
	syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
}
