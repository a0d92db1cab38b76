// Package tidy holds tests of the tree itself: which package may import which,
// how files are formatted, what they must not contain. It has no code of its
// own.
package tidy
