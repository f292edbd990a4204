package marksim

import (
	"encoding/json"
	"time"
)

// Person is a script: who somebody is, what that somebody does, and when.
type Person struct {
	Name, Surname string
	Code          string // personal code; the key of the catalogue, with Country
	Country       string // LT, LV or EE
	Phone         string // that Mobile-ID must be asked with; "" is any
	Note          string // what happens, in a few words for a demonstration

	Outcome Outcome // "" is Confirms

	// AfterMin and AfterMax are when, counted from the start of the session:
	// anywhere between the two. With AfterMax not above AfterMin it is AfterMin.
	AfterMin, AfterMax time.Duration

	PEPs      []PEPRecord      // what the check finds, if asked for
	Sanctions []SanctionRecord // likewise
}

// PEPRecord is a politically exposed person, as documented. Every text may be
// empty; dates are text in mixed formats.
type PEPRecord struct {
	ID                int        `json:"id"`
	Reference         string     `json:"reference"`
	FirstName         string     `json:"first_name"`
	LastName          string     `json:"last_name"`
	FullName          string     `json:"full_name"`
	PoliticalPosition string     `json:"political_position"`
	Associates        Associates `json:"associates"`
	AKA               string     `json:"aka"`
	DateOfBirth       string     `json:"date_of_birth"`
	PlaceOfBirth      string     `json:"place_of_birth"`
	Gender            string     `json:"gender"`
	CountryOfOrigin   string     `json:"country_of_origin"`
	CountryOfActivity string     `json:"country_of_activity"`
	SearchCreatedAt   string     `json:"search_created_at"`
	DateOfDeath       string     `json:"date_of_death"`
}

// SanctionRecord is an entry of a sanctions list, as documented. Every text may
// be empty; dates are text in mixed formats.
type SanctionRecord struct {
	ID                int        `json:"id"`
	Reference         string     `json:"reference"`
	FirstName         string     `json:"first_name"`
	LastName          string     `json:"last_name"`
	FullName          string     `json:"full_name"`
	DateOfBirth       string     `json:"date_of_birth"`
	PlaceOfBirth      string     `json:"place_of_birth"`
	AKA               string     `json:"aka"`
	Gender            string     `json:"gender"`
	DocumentNumber    string     `json:"document_number"`
	CountryOfOrigin   string     `json:"country_of_origin"`
	TypeSDNOrEntity   string     `json:"type_sdn_or_entity"`
	NameOfTheList     string     `json:"name_of_the_list"`
	DateOfPublication string     `json:"date_of_publication"`
	ListPublishedAt   string     `json:"date_of_publication_of_the_list"`
	SearchCreatedAt   string     `json:"search_created_at"`
	Associates        Associates `json:"associates"`
	ImageURL          string     `json:"image_url"`
	DateOfDeath       string     `json:"date_of_death"`
}

// Associates are relations and names. As PHP has one type for lists and maps,
// none of them is [], not {}.
type Associates map[string]string

// MarshalJSON writes an object, or an empty list.
func (a Associates) MarshalJSON() ([]byte, error) {
	if len(a) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal(map[string]string(a))
}
