// The Express middleware of js/verify, before a decision service that answers as
// each test wants.
import '../js/verify/index.test.js'
