// Package node is the bytes of an extent of btree.db and nothing else: how a
// header, a leaf, a branch and a reference are laid out, built and searched.
// It does no I/O. Nodes are used as they are stored, without being parsed into
// objects. The layouts are specified in docs/FORMAT.md.
package node
