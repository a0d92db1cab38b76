package pager

// Path is the name of the file.
func (p *Pager) Path() string { return p.name }

// Failed returns why nothing is written any more, or nil.
func (p *Pager) Failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}
