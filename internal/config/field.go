package config

import (
	"reflect"
	"strings"

	"github.com/cardea-id/cardea/internal/secret"
)

// Field describes one setting to those who offer it elsewhere, such as the
// command line and the reference page.
type Field struct {
	Key     string // database.url
	Env     string // CARDEA_DATABASE_URL
	Flag    string // database-url; a secret has none, since other users see command lines
	Default string
	Help    string
	Secret  bool // may also come from the file named by Key_file, Env_FILE or Flag-file

	path []int
}

// FileFlag is the flag that names the file of a secret.
func (f Field) FileFlag() string { return flagName(f.Key) + "-file" }

// Fields lists every setting in the order of the reference.
func Fields() []Field { return fieldsOf(reflect.TypeFor[Config](), "", nil) }

func fieldsOf(t reflect.Type, prefix string, path []int) []Field {
	var out []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		key := sf.Tag.Get("key")
		if key == "" {
			continue
		}
		at := append(append([]int(nil), path...), i)
		if sf.Type.Kind() == reflect.Struct && sf.Tag.Get("help") == "" {
			out = append(out, fieldsOf(sf.Type, prefix+key+".", at)...)
			continue
		}
		f := Field{Key: prefix + key, Default: sf.Tag.Get("default"), Help: sf.Tag.Get("help"), path: at}
		f.Env = "CARDEA_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(f.Key))
		f.Secret = sf.Type == reflect.TypeFor[secret.Text]()
		if !f.Secret {
			f.Flag = flagName(f.Key)
		}
		out = append(out, f)
	}
	return out
}

func flagName(key string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(key) }

func (c *Config) value(f Field) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(f.path) }

// Origin says where the value of key came from: "default", "cardea.yaml:3:9",
// "CARDEA_LISTEN" or "--listen".
func (c *Config) Origin(key string) string {
	if o := c.origins[key]; o != "" {
		return o
	}
	return "default"
}
