import Hummingbird
import Yams
import GRDB
import Crypto
import ServiceLifecycle
import Logging
