// The workshop screen: follows the live stream, answers taps, keeps clocks running. Everything shown comes rendered.
"use strict";

(() => {
  const STALE_MS = 10000; // an answer older than this is history, not an answer
  const SILENCE_MS = 25000; // no word from the kiosk for this long: the connection is lost
  const at = (id) => document.getElementById(id);
  const body = document.body;

  // --- The domain's clock: what the kiosk last said, carried on at the rate at which it was seen to run.
  let said = Number(body.dataset.now);
  let heard = performance.now();
  let anchor = null;
  let rate = 1;
  const now = () => said + (performance.now() - heard) * rate;

  function hearTime(ms) {
    const moment = performance.now();
    if (anchor !== null && moment - anchor.moment > 2000) {
      const seen = (ms - anchor.ms) / (moment - anchor.moment);
      rate = Math.abs(seen - 1) < 0.25 || seen < 0 || seen > 10000 ? 1 : seen; // a demo runs faster; a corrected clock does not
      anchor = { moment, ms };
    } else if (anchor === null) {
      anchor = { moment, ms };
    }
    said = ms;
    heard = moment;
  }

  const two = (number) => String(number).padStart(2, "0");

  function tick() {
    const local = new Date(now() + Number(body.dataset.offset));
    at("clock").textContent = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}`;
    for (const each of document.querySelectorAll(".ticking")) {
      const minutes = Math.max(0, Math.floor((now() - Number(each.dataset.since)) / 60000));
      each.textContent = `${Math.floor(minutes / 60)}:${two(minutes % 60)}`;
    }
    for (const each of document.querySelectorAll(".warning")) {
      const seconds = Math.max(0, Math.floor((Number(each.dataset.until) - now()) / 1000));
      each.querySelector(".left").textContent = `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
    }
  }

  // --- What the stream says.
  function answer(event) {
    if (event.age_ms / rate > STALE_MS) return;
    window.sheberVisit.tapped(event);
  }
  const warned = new Set();
  function warn(html) {
    const place = at("warnings");
    if (place.innerHTML !== html) {
      place.innerHTML = html;
      htmx.process(place);
    }
    const sessions = [...place.querySelectorAll("[data-session]")].map((each) => each.dataset.session);
    if (sessions.some((each) => !warned.has(each))) window.sheberSound.play("warn");
    warned.clear();
    sessions.forEach((each) => warned.add(each));
  }
  function board(event) {
    hearTime(event.now_ms);
    at("board").innerHTML = event.html;
    at("latest").innerHTML = event.latest;
    body.dataset.offset = event.offset_ms;
    warn(event.warnings);
    tick();
  }
  function status(event) {
    hearTime(event.now_ms);
    if (event.page !== body.dataset.page && !window.sheberVisit.busy()) location.reload(); // the kiosk was updated
    at("alarm").hidden = event.recording;
    at("why").innerHTML = event.reason;
    at("marks").innerHTML = event.marks;
  }

  // --- The stream itself. The browser connects again by itself and says what it saw last.
  let silence = 0;
  let stream = null;
  function lively() {
    at("lost").hidden = true;
    clearTimeout(silence);
    silence = setTimeout(() => { // half-open connections say nothing at all
      at("lost").hidden = false;
      listen();
    }, SILENCE_MS);
  }
  let last = body.dataset.after;
  function listen() {
    if (stream !== null) stream.close();
    const query = new URLSearchParams({ after: last });
    if (body.dataset.screen) query.set("screen", body.dataset.screen);
    stream = new EventSource(`feed?${query}`);
    const on = (name, act) => stream.addEventListener(name, (message) => {
      if (message.lastEventId) last = message.lastEventId;
      lively();
      act(JSON.parse(message.data));
    });
    on("tap", answer);
    on("board", board);
    on("status", status);
    stream.onopen = lively;
    stream.onerror = () => {
      at("lost").hidden = false;
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000); // refused for now: too many streams
    };
  }

  setInterval(tick, 500);
  tick();
  warn(at("warnings").innerHTML);
  listen();
})();
