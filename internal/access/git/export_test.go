package git

// Filters reports whether the server said that it leaves out what is large.
func (r *Repository) Filters() bool { return r.filters }
