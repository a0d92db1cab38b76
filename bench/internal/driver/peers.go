//go:build !alone

package driver

var peers = []*Driver{&lmdb, &rocksdb, &pebble, &badger, &goleveldb, &bbolt, &sqlite}
