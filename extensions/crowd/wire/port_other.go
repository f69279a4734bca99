//go:build !linux

package wire

func lateport(uintptr) {}
