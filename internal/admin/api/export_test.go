package api

// DangerousIDs are the operations that are dangerous by name.
func DangerousIDs() []string { return dangerous }

// About and Groups are what policies say of operations.
func About(o Operation) (types []string, param string) { return o.about() }

// Groups are the names of an operation and others.
func Groups(o Operation) []string { return o.groups() }
