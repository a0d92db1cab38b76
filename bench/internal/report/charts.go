package report

// chartOf is the name of a group's chart, or empty.
func chartOf(group string) string { return "" }

// charts draws the charts, by file name.
func (r *report) charts() map[string][]byte { return nil }
