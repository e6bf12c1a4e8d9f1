package app

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// knownSettings refuses settings that do not exist: a mistyped name must not silently mean the default.
func knownSettings(k *koanf.Koanf) error {
	return checkNames("", k.Raw(), reflect.TypeFor[Config]())
}

// checkNames compares the members of a value with the fields of the struct it is for.
func checkNames(at string, value any, kind reflect.Type) error {
	switch v := value.(type) {
	case map[string]any:
		if kind.Kind() != reflect.Struct {
			return nil // the decoder says what is wrong
		}
		for name, member := range v {
			field, ok := fieldOf(kind, name)
			if !ok {
				return fmt.Errorf("config: unknown setting %s; known here: %s", at+name, strings.Join(fieldNames(kind), ", "))
			}
			if err := checkNames(at+name+".", member, field.Type); err != nil {
				return err
			}
		}
	case []any:
		if kind.Kind() != reflect.Slice {
			return nil
		}
		for i, member := range v {
			if err := checkNames(fmt.Sprintf("%s[%d].", strings.TrimSuffix(at, "."), i), member, kind.Elem()); err != nil {
				return err
			}
		}
	}
	return nil
}

func fieldOf(kind reflect.Type, name string) (reflect.StructField, bool) {
	for i := range kind.NumField() {
		if kind.Field(i).Tag.Get("koanf") == name {
			return kind.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

func fieldNames(kind reflect.Type) []string {
	names := make([]string, kind.NumField())
	for i := range names {
		names[i] = kind.Field(i).Tag.Get("koanf")
	}
	slices.Sort(names)
	return names
}

// decoder turns settings into a Config or a part of one: text from the environment becomes numbers and lists.
func decoder[T any](into *T) *mapstructure.DecoderConfig {
	return &mapstructure.DecoderConfig{
		Result: into, TagName: "koanf", WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(",")),
	}
}
