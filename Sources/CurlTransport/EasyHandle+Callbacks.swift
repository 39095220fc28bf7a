import CCurl
import CLinux
import Glibc
import UploadCore

// What libcurl calls while it performs. Each closure turns C arguments into one call of the exchange; the pointer to it
// is valid because the handle keeps the exchange until it is reset.
extension EasyHandle {
  func setCallbacks(_ exchange: UnsafeMutableRawPointer) {
    setBodyCallbacks(exchange)
    setAnswerCallbacks(exchange)
    setProgressCallback(exchange)
    setSocketCallback(exchange)
  }

  private func setBodyCallbacks(_ exchange: UnsafeMutableRawPointer) {
    ccurl_set_read(easy) { buffer, size, count, context in
      guard let buffer, let context else { return Int(CURL_READFUNC_ABORT) }
      let output = UnsafeMutableRawBufferPointer(start: buffer, count: size * count)
      return Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue().readBody(into: output)
    }
    ccurl_set_pointer(easy, CURLOPT_READDATA, exchange)
    ccurl_set_seek(easy) { context, offset, origin in
      guard let context, origin == SEEK_SET else { return CURL_SEEKFUNC_CANTSEEK }
      let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
      return exchange.seekBody(to: Int(offset)) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
    }
    ccurl_set_pointer(easy, CURLOPT_SEEKDATA, exchange)
  }

  private func setAnswerCallbacks(_ exchange: UnsafeMutableRawPointer) {
    ccurl_set_write(easy) { buffer, size, count, context in
      guard let buffer, let context else { return 0 }
      let bytes = UnsafeRawBufferPointer(start: buffer, count: size * count)
      // Fewer bytes than given ends the exchange with CURLE_WRITE_ERROR.
      return Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue().append(bytes) ? bytes.count : 0
    }
    ccurl_set_pointer(easy, CURLOPT_WRITEDATA, exchange)
    ccurl_set_header(easy) { buffer, size, count, context in
      guard let buffer, let context else { return 0 }
      let line = UnsafeRawBufferPointer(start: buffer, count: size * count)
      Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue().takeHeader(line)
      return line.count
    }
    ccurl_set_pointer(easy, CURLOPT_HEADERDATA, exchange)
  }

  private func setProgressCallback(_ exchange: UnsafeMutableRawPointer) {
    ccurl_set_progress(easy) { context, _, received, _, sent in
      guard let context else { return 0 }
      Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue().takeProgress(sent: Int(sent), received: Int(received))
      return 0
    }
    ccurl_set_pointer(easy, CURLOPT_XFERINFODATA, exchange)
    ccurl_set_long(easy, CURLOPT_NOPROGRESS, 0)
  }

  /// A new connection gives up on sent but unacknowledged bytes after the request's stall timeout (the kernel alone would
  /// try for a quarter of an hour), and is not inherited by programs that are started.
  private func setSocketCallback(_ exchange: UnsafeMutableRawPointer) {
    ccurl_set_sockopt(easy) { context, socket, _ in
      guard let context else { return CURL_SOCKOPT_OK }
      let request = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue().request
      let milliseconds = request.stallTimeout.nanoseconds / 1_000_000
      var timeout = UInt32(clamping: max(1, milliseconds))
      setsockopt(
        socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &timeout, socklen_t(MemoryLayout.size(ofValue: timeout)))
      _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
      return CURL_SOCKOPT_OK
    }
    ccurl_set_pointer(easy, CURLOPT_SOCKOPTDATA, exchange)
  }
}
