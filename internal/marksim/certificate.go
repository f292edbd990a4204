package marksim

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"time"
)

// certificate is a person's, as the documented sample has it.
type certificate struct {
	Name      string  `json:"name"`
	Subject   subject `json:"subject"`
	Issuer    issuer  `json:"issuer"`
	ValidFrom string  `json:"valid_from"`
	ValidTo   string  `json:"valid_to"`
	Value     string  `json:"value"` // DER in base64 in base64
}

type subject struct {
	Country          string  `json:"country"`
	Organisation     *string `json:"organisation"`
	OrganisationUnit *string `json:"organisation_unit"`
	CommonName       string  `json:"common_name"`
	Surname          string  `json:"surname"`
	Name             string  `json:"name"`
	SerialNumber     string  `json:"serial_number"`
}

type issuer struct {
	Country      string `json:"country"`
	Organisation string `json:"organisation"`
	CommonName   string `json:"common_name"`
}

var testIssuer = issuer{Country: "EE", Organisation: "AS Sertifitseerimiskeskus", CommonName: "TEST of EID-SK 2016"}

var (
	validFrom = time.Date(2025, 9, 17, 0, 0, 0, 0, time.UTC)
	validTo   = time.Date(2035, 9, 17, 0, 0, 0, 0, time.UTC)

	oidSurname   = asn1.ObjectIdentifier{2, 5, 4, 4}
	oidGivenName = asn1.ObjectIdentifier{2, 5, 4, 42}
)

func newCertificate(p Person) certificate {
	serial := "PNO" + p.Country + "-" + p.Code
	common := p.Surname + "," + p.Name
	der := base64.StdEncoding.EncodeToString(newDER(p, common, serial))
	return certificate{
		Name: "/C=" + p.Country + "/CN=" + common + "/SN=" + p.Surname + "/GN=" + p.Name + "/serialNumber=" + serial,
		Subject: subject{
			Country: p.Country, CommonName: common, Surname: p.Surname, Name: p.Name, SerialNumber: serial,
		},
		Issuer:    testIssuer,
		ValidFrom: validFrom.Format(time.DateOnly),
		ValidTo:   validTo.Format(time.DateOnly),
		Value:     base64.StdEncoding.EncodeToString([]byte(der)),
	}
}

// newDER is a certificate that parses, signed by a key that everybody can know.
func newDER(p Person, common, serial string) []byte {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject: pkix.Name{
			Country: []string{p.Country}, CommonName: common, SerialNumber: serial,
			ExtraNames: []pkix.AttributeTypeAndValue{
				{Type: oidSurname, Value: p.Surname}, {Type: oidGivenName, Value: p.Name},
			},
		},
		NotBefore: validFrom,
		NotAfter:  validTo,
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	parent := &x509.Certificate{Subject: pkix.Name{
		Country: []string{testIssuer.Country}, Organization: []string{testIssuer.Organisation}, CommonName: testIssuer.CommonName,
	}}
	der, err := x509.CreateCertificate(nil, template, parent, key.Public(), key)
	if err != nil {
		return nil // a script whose names no certificate can hold
	}
	return der
}
