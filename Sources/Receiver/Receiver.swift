import Hummingbird
import HummingbirdTLS
import GRDB
import Crypto
