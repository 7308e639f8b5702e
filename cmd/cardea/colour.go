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

// paint colours text where a terminal shows it.
func (c *console) paint(code, s string) string {
	if !c.coloured() {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (c *console) red(s string) string    { return c.paint("31", s) }
func (c *console) green(s string) string  { return c.paint("32", s) }
func (c *console) yellow(s string) string { return c.paint("33", s) }
