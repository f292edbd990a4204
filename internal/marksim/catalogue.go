package marksim

import "time"

// Persons is the catalogue that a start looks its personal code up in. The first
// five have the numbers of SK's demo environment; all others have codes of the
// nineteenth century, so that they are nobody's.
func Persons() []Person {
	return append([]Person(nil), catalogue...)
}

const second = time.Second

var catalogue = []Person{
	{
		Name: "OK", Surname: "TESTNUMBER", Code: "30303039914", Country: "LT",
		Note: "confirms in 3 to 6 s", AfterMin: 3 * second, AfterMax: 6 * second,
	},
	{
		Name: "REFUSED", Surname: "TESTNUMBER", Code: "30403039917", Country: "LT",
		Note: "refuses in 3 to 6 s", Outcome: Refuses, AfterMin: 3 * second, AfterMax: 6 * second,
	},
	{
		Name: "TIMEOUT", Surname: "TESTNUMBER", Code: "30403039983", Country: "LT",
		Note: "never answers: expires after 2 min", Outcome: NeverAnswers,
	},
	{
		Name: "WRONGVC", Surname: "TESTNUMBER", Code: "30403039972", Country: "LT",
		Note: "picks the wrong code in 4 s: refused", Outcome: WrongCode, AfterMin: 4 * second,
	},
	{
		Name: "MOBILE", Surname: "TESTNUMBER", Code: "60001017705", Country: "EE", Phone: "+37269000366",
		Note: "confirms in 4 to 8 s, with +37269000366", AfterMin: 4 * second, AfterMax: 8 * second,
	},
	{
		Name: "ŽYDRŪNĖ", Surname: "IŠGALVOTOJI", Code: "20101010001", Country: "LT",
		Note: "confirms in 2 s", AfterMin: 2 * second,
	},
	{
		Name: "ĄŽUOLAS", Surname: "PAVYZDYS", Code: "10101010002", Country: "LT",
		Note: "confirms in 5 to 30 s, as most people do", AfterMin: 5 * second, AfterMax: 30 * second,
	},
	{
		Name: "LĖTAUTAS", Surname: "NESKUBANTYSIS", Code: "10101010003", Country: "LT",
		Note: "confirms in 25 s", AfterMin: 25 * second,
	},
	{
		Name: "ONA JŪRATĖ", Surname: "BANDYMAITĖ-TESTIENĖ", Code: "20101010004", Country: "LT",
		Note: "confirms in 50 to 90 s", AfterMin: 50 * second, AfterMax: 90 * second,
	},
	{
		Name: "SEIMUTIS", Surname: "NESANTYSIS", Code: "10101010005", Country: "LT",
		Note: "confirms in 4 s; a politically exposed person", AfterMin: 4 * second, PEPs: somePEPs,
	},
	{
		Name: "BLOGUTIS", Surname: "PRASIMANYTASIS", Code: "10101010006", Country: "LT",
		Note: "confirms in 4 s; on two sanctions lists", AfterMin: 4 * second, Sanctions: someSanctions,
	},
	{
		Name: "VISKUTĖ", Surname: "PRAMANYTOJI", Code: "20101010007", Country: "LT",
		Note:     "confirms in 6 s; exposed, and on sanctions lists",
		AfterMin: 6 * second, PEPs: somePEPs, Sanctions: someSanctions,
	},
	{
		Name: "NĖRA", Surname: "PASKYROS", Code: "20101010008", Country: "LT",
		Note: "has no account, in 1 s", Outcome: UnknownAccount, AfterMin: second,
	},
	{
		Name: "PUSĖ", Surname: "PASKYROS", Code: "20101010009", Country: "LT",
		Note: "has an account that is not qualified, in 2 s", Outcome: NotQualified, AfterMin: 2 * second,
	},
	{
		Name: "GREITA", Surname: "PABAIGA", Code: "20101010010", Country: "LT",
		Note: "the session expires in 10 s", Outcome: Expires, AfterMin: 10 * second,
	},
	{
		Name: "PERSI", Surname: "GALVOJUS", Code: "10101010011", Country: "LT",
		Note: "cancels in 5 s", Outcome: Canceled, AfterMin: 5 * second,
	},
	{
		Name: "BYLA", Surname: "SUGADINTA", Code: "20101010012", Country: "LT",
		Note: "document corrupted, in 3 s", Outcome: DocumentCorrupted, AfterMin: 3 * second,
	},
	{
		Name: "RAKTAS", Surname: "VĖLUOJANTIS", Code: "10101010013", Country: "LT",
		Note: "the certificate cannot be had, in 3 s", Outcome: CertificateTimeout, AfterMin: 3 * second,
	},
	{
		Name: "BEZDARBIS", Surname: "IZDOMĀTAIS", Code: "010100-00014", Country: "LV",
		Note: "confirms in 3 to 9 s", AfterMin: 3 * second, AfterMax: 9 * second,
	},
	{
		Name: "ÄRA", Surname: "VÄLJAMÕELDUD-ŠUSLIK", Code: "20101010015", Country: "EE",
		Note: "confirms in 3 to 9 s", AfterMin: 3 * second, AfterMax: 9 * second,
	},
}

var somePEPs = []PEPRecord{{
	ID: 700001, Reference: "PEP-DEMO-1", FirstName: "Seimutis", LastName: "Nesantysis", FullName: "Nesantysis, Seimutis",
	PoliticalPosition: "Member of the Parliament of Nowhere", Associates: Associates{"parent": "Prasimanytas Nesantysis"},
	AKA: "", DateOfBirth: "1801-01-01", PlaceOfBirth: "", Gender: "male", CountryOfOrigin: "Nowhere", CountryOfActivity: "",
	SearchCreatedAt: "2026-11-20 10:15:00", DateOfDeath: "",
}}

var someSanctions = []SanctionRecord{
	{
		ID: 800001, Reference: "SAN-DEMO-1", FirstName: "Blogutis", LastName: "Prasimanytasis",
		FullName: "PRASIMANYTASIS, Blogutis", DateOfBirth: "01/01/1801", PlaceOfBirth: "Niekur", AKA: "Blogis; B. P.",
		Gender: "", DocumentNumber: "", CountryOfOrigin: "Nowhere", TypeSDNOrEntity: "individual",
		NameOfTheList: "Demo List / Invented Persons", DateOfPublication: "2014-07-31", ListPublishedAt: "20 Nov 2026",
		SearchCreatedAt: "2026-11-20 10:15:00", Associates: Associates{"parent": "Prasimanytas Blogutis", "spouse": ""},
		ImageURL: "https://images.example/demo/1.jpg", DateOfDeath: "",
	},
	{
		ID: 800002, Reference: "", FullName: "Prasimanytasis B.", DateOfBirth: "1801", NameOfTheList: "Second Demo List",
		SearchCreatedAt: "2026-11-20T10:15:00+02:00",
	},
}
