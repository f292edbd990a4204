// Package demo owns everything behind `identwatch dev`: identwatch whole in one
// process, with nothing to install, which follows sessions of invented persons. It
// never reaches into the engine: it goes by the packages of applications and operators.
//
// [Run] (demo.go) tells the story, with what texts.go says; page.go serves the pages.
// What runs is in package stage, what a terminal shows in terminal, and the page to
// take part in it in desk. At the end the stage holds what the simulator and the
// receiver saw against what identwatch promises.
package demo
