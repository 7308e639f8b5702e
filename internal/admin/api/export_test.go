package api

// DangerousIDs are the operations that are dangerous by name.
func DangerousIDs() []string { return dangerous }
