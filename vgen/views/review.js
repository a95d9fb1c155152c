"use strict";
{
  const { more, go, step, swap, sift, turn, viewed, viewer, help, wireTimeline } = globalThis.gallery;
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const noting = $("#noting"), text = $("#note-text");
  const say = (words) => {
    const said = $("#said");
    said.textContent = words;
    said.classList.remove("fresh");
    said.getBoundingClientRect(); // so that it is shown as long as any
    said.classList.add("fresh");
  };
  let film = { shots: [] };
  let here = 0; // the shot that keys are about: the one that was focused last, or that the film shows
  const shotOf = (number) => film.shots.find((one) => one.shot === number);
  const card = (number) => document.getElementById(`shot-${number}`);

  // ── the film: two videos in turn, the next clip is loaded while one plays; a slate where no clip is ──

  const stage = $(".stage"), slate = $(".slate"), videos = all("video", stage);
  const END_S = 0.02; // a frame at 50 a second: that early the next clip begins
  let pieces = [], at = 0, front = 0, going = false, entered = 0, slateAt = 0, slateFrom = 0, blessed = false;
  let shown = 0; // the shot on the stage: while a clip is being loaded, still the one before
  for (const video of videos) video.muted = false;

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const total = () => pieces.reduce((sum, piece) => sum + piece.s, 0);
  const before = (index) => pieces.slice(0, index).reduce((sum, piece) => sum + piece.s, 0);
  const isSlate = (piece) => !piece.src || piece.broken;
  const position = () => (isSlate(pieces[at]) ? slateAt + (going ? (performance.now() - slateFrom) / 1000 : 0) : videos[front].currentTime);

  const pieceOf = (shot) => {
    const length = shot.clip?.duration_s || shot.shot_s;
    return { shot: shot.shot, src: shot.clip?.src, s: shot.clip ? Math.min(length, shot.shot_s || length) : shot.shot_s, why: shot.status, prompt: shot.prompt };
  };

  const load = (video, src) => {
    if (video.getAttribute("src") === src) return;
    if (src) video.src = src; else video.removeAttribute("src");
    video.load();
  };

  const showPlace = () => {
    const piece = pieces[at];
    if (!piece) return;
    const now = Math.min(before(at) + position(), total());
    $("#film-at").value = now;
    const words = `Shot ${piece.shot}, ${at + 1} of ${pieces.length} · ${clock(now)} of ${clock(total())}`;
    if ($("#film-now").textContent !== words) {
      $("#film-now").textContent = words;
      $("#film-at").setAttribute("aria-valuetext", words);
    }
  };

  const mark = () => {
    for (const one of all(".timeline .on")) one.classList.remove("on");
    $(`.timeline a[href="#shot-${shown}"]`)?.parentElement.classList.add("on");
    stage.dataset.shot = shown;
  };

  const onStage = (piece) => { // the clip after it is loaded into the video that is free
    shown = piece.shot;
    const after = pieces.slice(at + 1).find((one) => one.src && one.src !== piece.src);
    if (after) load(videos[1 - front], after.src);
    mark();
  };

  const enter = (index, offset = 0) => { // the piece takes the stage as soon as it has a picture
    const mine = ++entered, piece = pieces[index];
    at = index;
    if (going) here = piece.shot;
    if (isSlate(piece)) {
      for (const video of videos) video.pause();
      slate.textContent = `Shot ${piece.shot}: ${piece.broken ? "its clip cannot be played" : piece.why}\n\n${piece.prompt}`;
      slate.hidden = false;
      slateAt = offset;
      slateFrom = performance.now();
      return onStage(piece);
    }
    const video = videos[front].getAttribute("src") === piece.src ? videos[front] : videos[1 - front];
    const other = videos[1 - videos.indexOf(video)];
    load(video, piece.src);
    if (Math.abs(video.currentTime - offset) > 0.001) video.currentTime = offset;
    if (going) video.play().catch((fault) => { if (mine === entered && fault.name !== "AbortError") setGoing(false); });
    const take = () => {
      if (mine !== entered) return;
      front = videos.indexOf(video);
      video.classList.add("front");
      other.classList.remove("front");
      other.pause();
      slate.hidden = true;
      onStage(pieces[at]);
    };
    if (video.readyState >= video.HAVE_CURRENT_DATA) take();
    else video.addEventListener("loadeddata", take, { once: true });
  };

  const next = () => {
    if (at + 1 < pieces.length) enter(at + 1); else { setGoing(false); say("The film is over"); }
  };

  const tick = () => {
    if (!going) return;
    const piece = pieces[at], video = videos[front];
    const over = isSlate(piece) ? position() >= piece.s : shown === piece.shot && (video.ended || video.currentTime >= piece.s - END_S);
    if (over) next();
    showPlace();
    requestAnimationFrame(tick);
  };

  const setGoing = (on) => {
    if (!pieces.length || on === going) return;
    const place = Math.min(position(), pieces[at].s);
    going = on;
    $("#film-play").setAttribute("aria-pressed", String(on));
    if (!on) { slateAt = place; for (const video of videos) video.pause(); return; }
    globalThis.gallery.stop();
    if (!blessed) { blessed = true; videos[1 - front].load(); } // some browsers let a video sound only after a touch
    const done = at === pieces.length - 1 && place >= pieces[at].s - 2 * END_S;
    enter(done ? 0 : at, done ? 0 : place);
    requestAnimationFrame(tick);
  };

  const seek = (seconds) => {
    let index = 0;
    while (index + 1 < pieces.length && before(index + 1) <= seconds) index += 1;
    if (pieces[index]) enter(index, seconds - before(index));
    showPlace();
  };

  const jump = (by) => { if (pieces[at + by]) { enter(at + by); showPlace(); } };

  const playFrom = () => {
    const index = pieces.findIndex((piece) => piece.shot === here);
    if (!going && index >= 0 && index !== at) enter(index);
    setGoing(!going);
  };

  const setSound = (on) => {
    for (const video of videos) video.muted = !on;
    $("#film-sound").setAttribute("aria-pressed", String(on));
  };

  const setPieces = () => {
    const was = pieces[at], place = was ? position() : 0;
    pieces = film.shots.map(pieceOf);
    $("#film-at").max = total();
    const index = was ? pieces.findIndex((piece) => piece.shot === was.shot) : 0;
    if (!was || index < 0) { at = 0; if (pieces.length) enter(0); }
    else if (pieces[index].src !== was.src) enter(index, pieces[index].src ? Math.min(place, pieces[index].s) : 0);
    else { at = index; if (shown === was.shot) onStage(pieces[at]); else mark(); }
    showPlace();
  };

  for (const video of videos) {
    video.addEventListener("ended", () => { if (going && video === videos[front] && shown === pieces[at].shot && !isSlate(pieces[at])) next(); });
    video.addEventListener("error", () => {
      const piece = pieces.find((one) => one.src && one.src === video.getAttribute("src"));
      if (!piece) return;
      piece.broken = true;
      if (pieces[at] === piece) enter(at);
    });
  }
  $("#film-play").addEventListener("click", () => setGoing(!going));
  $("#film-back").addEventListener("click", () => jump(-1));
  $("#film-on").addEventListener("click", () => jump(1));
  $("#film-sound").addEventListener("click", () => setSound(videos[0].muted));
  $("#film-at").addEventListener("input", (event) => seek(+event.target.value));

  // ── choices: one at a time to the server; while a build is at work they wait here, and are tried again ──

  const KEPT = "vgen-choices", AGAIN_MS = 1000;
  const waiting = new Map(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")); // "shot kind" → choice
  const done = []; // what undoes each choice that was made, the newest last
  let sending = false, timer = 0;

  const drawWaiting = () => {
    sessionStorage.setItem(KEPT, JSON.stringify([...waiting]));
    const late = [...waiting].filter(([, choice]) => choice.why);
    const list = document.createElement("ul");
    for (const [key, choice] of late) {
      const line = document.createElement("li"), words = document.createElement("span"), cancel = document.createElement("button");
      words.textContent = `${choice.words} waits: ${choice.why}`;
      cancel.type = "button";
      cancel.textContent = "Cancel";
      cancel.setAttribute("aria-label", `Cancel ${choice.words}`);
      cancel.addEventListener("click", () => { waiting.delete(key); say(`${choice.words}: cancelled`); drawWaiting(); });
      line.append(words, cancel);
      list.append(line);
    }
    const region = $("#waiting");
    region.hidden = !late.length;
    region.replaceChildren(list);
    for (const one of all(".shot[data-waits]")) delete one.dataset.waits;
    for (const [, choice] of late) { const shot = card(choice.body.shot); if (shot) shot.dataset.waits = ""; }
    $("#undo").disabled = !done.length && !waiting.size;
  };

  const send = async (key, choice) => { // true: go on with the next
    let answer, error = "";
    try {
      answer = await fetch(`/api/${choice.kind}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(choice.body) });
      error = answer.ok ? "" : (await answer.json().catch(() => ({}))).error ?? answer.statusText;
    } catch { error = "the review is not running"; }
    const current = waiting.get(key) === choice;
    if (answer?.ok) {
      if (current) waiting.delete(key);
      if (choice.undo) done.push(choice.undo);
      say(choice.words);
      await refresh();
      return true;
    }
    if (!answer || answer.status === 409) {
      if (current && choice.why !== error) { choice.why = error; say(`${choice.words} waits: ${error}`); }
      return false;
    }
    if (current) waiting.delete(key);
    say(`${choice.words}: refused. ${error}`);
    return true;
  };

  const flush = async () => {
    clearTimeout(timer);
    if (sending) return;
    sending = true;
    try {
      for (let [first] = waiting; first && await send(...first); [first] = waiting) drawWaiting();
    } finally { sending = false; }
    drawWaiting();
    if (waiting.size) timer = setTimeout(flush, AGAIN_MS);
  };

  const choose = (kind, body, words, undo) => {
    const key = `${body.shot} ${kind === "keep" ? "pick" : kind}`;
    const late = waiting.get(key);
    waiting.delete(key);
    waiting.set(key, { kind, body, words, undo: late?.undo ?? undo, why: late?.why });
    drawWaiting();
    flush();
  };

  const pick = (number, take) => {
    const shot = shotOf(number), one = shot?.takes.find((other) => other.take === take);
    if (!one) return say(`Shot ${number} has no take ${take}`);
    if (one.current && ![...waiting.keys()].includes(`${number} pick`)) return say(`Shot ${number}: take ${take} is in place`);
    const back = shot.take && { kind: "pick", body: { shot: number, take: shot.take }, words: `Shot ${number}: back to take ${shot.take}` };
    return choose("pick", { shot: number, take }, `Shot ${number}: take ${take}`, back);
  };

  const keep = (number) => choose("keep", { shot: number }, `Shot ${number}: kept`);

  const lock = (number) => {
    const locked = !shotOf(number).locked, words = (on) => `Shot ${number}: ${on ? "locked" : "unlocked"}`;
    const back = { kind: "lock", body: { shot: number, locked: !locked }, words: words(!locked) };
    choose("lock", { shot: number, locked }, words(locked), back);
  };

  const note = (number) => {
    noting.dataset.shot = number;
    $("#noting-title").textContent = `Note on shot ${number}`;
    text.value = shotOf(number).note;
    noting.showModal();
    text.focus();
  };

  const saveNote = () => {
    const number = +noting.dataset.shot, was = shotOf(number)?.note ?? "", now = text.value.trim();
    noting.close();
    if (now === was) return;
    const back = { kind: "note", body: { shot: number, text: was }, words: `Shot ${number}: note as before` };
    choose("note", { shot: number, text: now }, `Shot ${number}: ${now ? "note saved" : "note removed"}`, back);
  };

  const undo = () => {
    const late = [...waiting].pop();
    if (late) { waiting.delete(late[0]); say(`${late[1].words}: cancelled`); return drawWaiting(); }
    const back = done.pop();
    if (back) choose(back.kind, back.body, back.words);
    return undefined;
  };

  $("#undo").addEventListener("click", undo);
  $("form", noting).addEventListener("submit", (event) => { event.preventDefault(); saveNote(); });
  noting.addEventListener("close", () => card(noting.dataset.shot)?.focus({ preventScroll: true }));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-choose]");
    if (!button) return;
    const number = +button.closest(".shot").dataset.shot;
    here = number;
    ({ pick: () => pick(number, button.closest(".take").dataset.take), keep: () => keep(number), lock: () => lock(number), note: () => note(number) })[button.dataset.choose]();
  });
  document.addEventListener("focusin", (event) => {
    const shot = event.target.closest(".shot");
    if (shot && !going) here = +shot.dataset.shot;
  });

  // ── keys ──

  const about = (does) => () => {
    const number = viewer.open ? +viewed().closest(".shot").dataset.shot : here;
    if (shotOf(number)) does(number); else say("Go to a shot first: with the arrow keys, or play the film");
  };

  const byKey = (key) => about((number) => {
    const take = shotOf(number).takes.find((one) => one.key === key);
    if (take) pick(number, take.take); else say(`Shot ${number} has no take for the key ${key}`);
  });

  const keys = {
    k: about(keep), l: about(lock), n: about(note), u: undo, p: playFrom, s: () => setSound(videos[0].muted),
  };

  more.act = (event, focused) => {
    if (noting.open) return event.key === "Enter" && !event.shiftKey && focused === text && !event.isComposing ? saveNote : null;
    if (help.open) return undefined;
    if (focused.matches("select, textarea, input:not([type=range])")) return undefined;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (/^[1-9]$/.test(key)) return byKey(key);
    if (key in keys) return keys[key];
    const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (viewer.open) return by && focused.id !== "screen" ? () => turn(by) : undefined;
    if (focused.matches("input[type=range]")) return null;
    if (key.startsWith("Arrow") && !focused.matches(".shot")) return () => (focused.closest(".shot") ? go(focused.closest(".shot")) : step(by ?? (key === "ArrowDown" ? 1 : -1)));
    return undefined;
  };

  // ── what changes elsewhere ──

  const getDocument = (address) => new Promise((done_, failed) => { // parsed by the browser, so no markup is put in by hand
    const asked = new XMLHttpRequest();
    asked.open("GET", address);
    asked.responseType = "document";
    asked.onload = () => (asked.status === 200 && asked.response ? done_(asked.response) : failed(new Error(asked.statusText)));
    asked.onerror = () => failed(new Error("the review is not running"));
    asked.send();
  });

  let refreshing = null, wanted = false;
  const refresh = () => { // one at a time; what changes meanwhile is looked at afterwards
    wanted = true;
    refreshing ??= (async () => {
      try { while (wanted) { wanted = false; await look(); } } finally { refreshing = null; }
    })();
    return refreshing;
  };

  const look = async () => {
    const answer = await fetch("/api/film");
    if (!answer.ok) { say((await answer.json().catch(() => ({}))).error ?? "The film cannot be read just now"); return; }
    const known = film.head;
    film = await answer.json();
    showBuilder(film.builder);
    const numbers = film.shots.map((one) => one.shot).sort((a, b) => a - b).join();
    if (numbers !== all(".shot").map((one) => +one.dataset.shot).sort((a, b) => a - b).join()) { location.reload(); return; }
    const changed = film.shots.filter((one) => card(one.shot).dataset.digest !== one.digest).map((one) => one.shot);
    if (changed.length || (known && known !== film.head)) {
      const fresh = await getDocument(`/?only=${changed.join()}`);
      for (const part of ["header.top", ".timeline"]) $(part).replaceWith(document.importNode($(part, fresh), true));
      const pressed = all(".chip[aria-pressed=true]").map((chip) => chip.dataset.status);
      $(".chips").replaceChildren(...all(".chip", fresh).map((chip) => document.importNode(chip, true)));
      for (const chip of all(".chip")) chip.setAttribute("aria-pressed", String(pressed.includes(chip.dataset.status)));
      for (const shot of all(".shot", fresh)) swap(document.importNode(shot, true));
      wireTimeline();
      sift(true);
    }
    setPieces();
    drawWaiting();
  };

  const showBuilder = (builder) => {
    $("#builder").hidden = !builder;
    $("#builder").textContent = builder ? `A build is at work (process ${builder}): what it makes appears here, choices wait for it` : "";
  };

  const heard = ({ builder }) => {
    showBuilder(builder);
    refresh().catch(() => {});
    if (!builder && waiting.size) flush();
  };

  // a browser has six connections to one server: of all its pages one listens, and tells the others
  const others = new BroadcastChannel("vgen-review");
  others.addEventListener("message", (event) => heard(event.data));
  const listen = () => {
    const events = new EventSource("/api/events");
    events.addEventListener("film", (event) => {
      const fact = JSON.parse(event.data);
      others.postMessage(fact);
      heard(fact);
    });
    events.addEventListener("error", () => say("The review does not answer. If it has ended, start it again and open its new address"));
  };

  if (location.search) history.replaceState(null, "", location.pathname + location.hash); // the token is in the cookie
  setSound(true);
  refresh().catch(() => say("The film cannot be read just now")).then(() => { if (waiting.size) flush(); });
  navigator.locks.request("vgen-review", () => new Promise(listen)); // held until the page goes; then the next one listens
}
