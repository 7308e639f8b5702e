package credential_test

// Hashes of the right password that other programs made.
const (
	scryptSample = "$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$hhmig6xxtQO8CjlVmSbBbTkd9R989UvldLzMuU9DBoA"
	pbkdf2Sample = "$pbkdf2-sha256$29000$MDEyMzQ1Njc4OWFiY2RlZg$lFxYCmQJ5VVCifLAZDO6j4hUqI6nOXwjuSlNTLTmjJ8"
	argonSample  = "$argon2id$v=19$m=4096,t=3,p=2$MDEyMzQ1Njc4OWFiY2RlZg$6a6NHGLMLs2eTpihQGWSLHi6vbhX1Vi3fu2qGOowykU"
)
