// Package httpstatus serves over HTTP what databases say of themselves. It is a
// package of its own so that only a program that imports it has net/http in it.
package httpstatus

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/lightning-db/lightning/engine"
)

// Handler serves, of the databases:
//
//	/metrics  their metrics, in the text format of Prometheus
//	/livez    503 when one has failed and takes no more writes, which ends with
//	          a restart (closing and opening it), else 200
//	/readyz   503 when one is closed, has failed, could not make its last
//	          checkpoint, or has refused its last commit for want of space, else
//	          200
//
// The body of /livez and /readyz is ok, or a line for each finding of DB.Health:
// of those too that are no reason for a 503. What a full disk is the reason for
// ends without traffic, too: see DB.Health. Any other path is a 404, so it can
// be mounted in a mux; it asks nobody who they are.
func Handler(dbs ...*engine.DB) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := engine.WriteMetrics(&b, dbs...); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		answer(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", &b)
	})
	check := func(stops func(*engine.HealthFinding) bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			status := http.StatusOK
			var b bytes.Buffer
			for _, db := range dbs {
				h, err := db.Health()
				if err != nil {
					h.Findings = []engine.HealthFinding{{Check: closed, Reason: err.Error(), Remedy: "open it again", Stops: true}}
				}
				for _, f := range h.Findings {
					fmt.Fprintf(&b, "%s: %s: %s; %s\n", db.Path(), f.Check, f.Reason, f.Remedy)
					if stops(&f) {
						status = http.StatusServiceUnavailable
					}
				}
			}
			if b.Len() == 0 {
				b.WriteString("ok\n")
			}
			answer(w, status, "text/plain; charset=utf-8", &b)
		}
	}
	mux.HandleFunc("GET /livez", check(func(f *engine.HealthFinding) bool { return f.Check == "failed" }))
	mux.HandleFunc("GET /readyz", check(func(f *engine.HealthFinding) bool { return f.Stops }))
	return mux
}

// closed is the check that a closed database fails.
const closed = "closed"

// answer sends a body. That nobody reads it is no error of ours.
func answer(w http.ResponseWriter, status int, contentType string, body io.WriterTo) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}
