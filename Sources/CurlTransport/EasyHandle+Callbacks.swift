import CCurl
import Glibc
import UploadCore

// What libcurl calls while it performs. Each closure turns C arguments into one call of a Swift object. The exchange
// lives as long as the handle carries it; the sockets live as long as the multi handle, which closes the last of them.
extension EasyHandle {
  func setCallbacks(for exchange: Exchange, _ sockets: SocketTable) {
    let context = Unmanaged.passUnretained(exchange).toOpaque()
    setBodyCallbacks(context)
    setAnswerCallbacks(context)
    setProgressCallback(context)
    setSocketCallbacks(Unmanaged.passUnretained(sockets).toOpaque())
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

  private func setSocketCallbacks(_ sockets: UnsafeMutableRawPointer) {
    ccurl_set_sockopt(easy) { context, socket, _ in
      guard let context else { return CURL_SOCKOPT_ERROR }
      Unmanaged<SocketTable>.fromOpaque(context).takeUnretainedValue().opened(socket)
      return CURL_SOCKOPT_OK
    }
    ccurl_set_pointer(easy, CURLOPT_SOCKOPTDATA, sockets)
    ccurl_set_close_socket(easy) { context, socket in
      guard let context else { return -1 }
      return Unmanaged<SocketTable>.fromOpaque(context).takeUnretainedValue().close(socket)
    }
    ccurl_set_pointer(easy, CURLOPT_CLOSESOCKETDATA, sockets)
  }
}
