// A program without libc and libssl, in an image with nothing else: answers HTTP at 8000 and HTTPS at 8443, or, with
// URLs as arguments, posts to each and prints its last element once it is answered.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path"
	"strings"
)

func main() {
	if urls := os.Args[1:]; len(urls) > 0 {
		call(urls)
		return
	}
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		fmt.Fprint(answer, `{"answered": true}`)
	})
	go func() { log.Fatal(http.ListenAndServe(":8000", nil)) }()
	log.Fatal(http.ListenAndServeTLS(":8443", "/programs/certificate.pem", "/programs/key.pem", nil))
}

func call(urls []string) {
	http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	for _, url := range urls {
		answer, err := http.Post(url, "application/json", strings.NewReader(`{"quantity": 1}`))
		if err != nil {
			log.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		fmt.Println(path.Base(url))
	}
}
