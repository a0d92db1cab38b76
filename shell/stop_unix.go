//go:build unix

package shell

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopProcess stops this process and those that were started with it, as Ctrl-Z
// does when a terminal is not read key by key, and returns when it goes on.
func stopProcess() {
	goesOn := make(chan os.Signal, 1)
	signal.Notify(goesOn, syscall.SIGCONT)
	_ = syscall.Kill(0, syscall.SIGTSTP)
	select {
	case <-goesOn:
	case <-time.After(time.Second / 10): // not stopped: nobody is there who could continue it
	}
	signal.Stop(goesOn)
}
