package main

import "os"

// coloured reports whether results go to a terminal that shows colours.
func (c *console) coloured() bool {
	f, ok := c.out.(*os.File)
	if !ok || c.getenv("NO_COLOR") != "" || c.getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
