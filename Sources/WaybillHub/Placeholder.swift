import GRDB
import Crypto
import ServiceLifecycle
import Logging
import Hummingbird
import Yams
