import Glibc
import UploadSimulator

exit(SimulateCommand.run())
