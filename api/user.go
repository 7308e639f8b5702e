package api

import "time"

// User is a person.
type User struct {
	ID          string     `json:"id" example:"usr_01k9zq3v5f8m2xw7c4n6b0t1ha"`
	Username    string     `json:"username,omitempty" doc:"A name to sign in with, unique in the realm."`
	DisplayName string     `json:"display_name,omitempty"`
	State       string     `json:"state" enum:"active,suspended,deleted"`
	Emails      []Email    `json:"emails" nullable:"false" doc:"The primary address first."`
	Locale      string     `json:"locale,omitempty" doc:"A BCP 47 language tag."`
	Profile     Profile    `json:"profile"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"When the account ends by itself."`
	DeletesAt   *time.Time `json:"deletes_at,omitempty" doc:"When the account is deleted, as its owner asked, unless they sign in and keep it. Only where one user is shown."`
	Version     int64      `json:"version"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// Email is an address of a user.
type Email struct {
	Address  string `json:"address" maxLength:"254"`
	Verified bool   `json:"verified,omitempty" doc:"Somebody confirmed that the address is the user's."`
	Primary  bool   `json:"primary,omitempty" doc:"The one that applications see."`
}

// Profile holds the standard claims of OpenID Connect Core 1.0, section 5.1,
// under their own names.
type Profile struct {
	GivenName           string  `json:"given_name,omitempty" maxLength:"500"`
	FamilyName          string  `json:"family_name,omitempty" maxLength:"500"`
	MiddleName          string  `json:"middle_name,omitempty" maxLength:"500"`
	Nickname            string  `json:"nickname,omitempty" maxLength:"500"`
	Profile             string  `json:"profile,omitempty" maxLength:"1000" doc:"URL of a page about the user."`
	Picture             string  `json:"picture,omitempty" maxLength:"1000" doc:"URL of an image."`
	Website             string  `json:"website,omitempty" maxLength:"1000"`
	Gender              string  `json:"gender,omitempty" maxLength:"500"`
	Birthdate           string  `json:"birthdate,omitempty" maxLength:"10" example:"1815-12-10"`
	Zoneinfo            string  `json:"zoneinfo,omitempty" maxLength:"100" example:"Europe/London"`
	PhoneNumber         string  `json:"phone_number,omitempty" maxLength:"40"`
	PhoneNumberVerified bool    `json:"phone_number_verified,omitempty" doc:"Of the number that is given here: who changes that and leaves this true says that the new one is verified."`
	Address             Address `json:"address,omitzero"`
}

// Address is a postal address (OpenID Connect Core 1.0, section 5.1.1).
type Address struct {
	Formatted     string `json:"formatted,omitempty" maxLength:"1000"`
	StreetAddress string `json:"street_address,omitempty" maxLength:"1000"`
	Locality      string `json:"locality,omitempty" maxLength:"1000"`
	Region        string `json:"region,omitempty" maxLength:"1000"`
	PostalCode    string `json:"postal_code,omitempty" maxLength:"1000"`
	Country       string `json:"country,omitempty" maxLength:"1000"`
}

// UserCreate makes a user. It needs a username or an address. There is no field
// for a password: nobody but its owner chooses one.
type UserCreate struct {
	Username    string     `json:"username,omitempty" maxLength:"200"`
	DisplayName string     `json:"display_name,omitempty" maxLength:"500"`
	Emails      []Email    `json:"emails,omitempty" maxItems:"20" nullable:"false"`
	Locale      string     `json:"locale,omitempty" maxLength:"35"`
	Profile     Profile    `json:"profile,omitzero"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
}

// UserUpdate changes a user. A field that is absent stays as it is; an empty
// one is emptied.
type UserUpdate struct {
	Username    *string    `json:"username,omitempty" maxLength:"200"`
	DisplayName *string    `json:"display_name,omitempty" maxLength:"500"`
	Locale      *string    `json:"locale,omitempty" maxLength:"35"`
	Profile     *Profile   `json:"profile,omitempty" doc:"Replaces the profile as a whole."`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"0001-01-01T00:00:00Z means never."`
}

// EmailUpdate changes what is known of an address.
type EmailUpdate struct {
	Verified *bool `json:"verified,omitempty"`
	Primary  *bool `json:"primary,omitempty" doc:"Only true does something: the former primary address stops being it."`
}
