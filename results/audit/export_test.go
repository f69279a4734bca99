package audit

// InBlocks returns options with blocks of so many bytes, so that a small audit
// goes by way of scratch.
func InBlocks(o Options, size int) Options {
	o.block = size
	return o
}
